// Who changed a number that is no memory: a field of a folio, a counter. Tables of the kernel are written through their methods alone, so while a watch
// stands every method of its table looks at the number as it returns: the call under way then is the line that changed it. Here: putting such methods in
// front of a table's, and taking them away. Not here: where the run stops (runner.ts looks at events and phases, with or without this).
import type { Session } from '../boot.ts';
import { kernelLine } from './kernel-line.ts';
import type { ValueWatch } from './timeline.ts';

type Method = (this: object, ...values: unknown[]) => unknown;
interface Sighting { readonly value: number; readonly line: string | null }

export class StoreSpy {
  private readonly session: Session;
  private readonly watches: readonly ValueWatch[];
  private readonly last = new Map<ValueWatch, Sighting>();
  private readonly replaced: { readonly prototype: object; readonly name: string; readonly method: PropertyDescriptor }[] = [];
  /** Looking calls methods of the table, too. */
  private isLooking = false;

  constructor(session: Session, watches: readonly ValueWatch[]) {
    this.session = session;
    this.watches = watches.filter(({ heldBy }) => heldBy !== undefined);
    for (const watch of this.watches) this.last.set(watch, { value: watch.read(session), line: null });
    for (const prototype of new Set(this.watches.map(({ heldBy }) => Object.getPrototypeOf(heldBy!(session)) as object))) this.standBefore(prototype);
  }
  /** The line that gave the watched number this value last; null: it was not seen. */
  lineOf(watch: ValueWatch, value: number): string | null {
    const seen = this.last.get(watch);
    return seen !== undefined && seen.value === value ? seen.line : null;
  }
  close(): void {
    for (const { prototype, name, method } of this.replaced.splice(0)) Object.defineProperty(prototype, name, method);
  }

  private standBefore(prototype: object): void {
    const spy = this;
    for (const [name, method] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      if (name === 'constructor' || typeof method.value !== 'function') continue;
      const original = method.value as Method;
      this.replaced.push({ prototype, name, method });
      Object.defineProperty(prototype, name, {
        ...method,
        value(this: object, ...values: unknown[]): unknown {
          const answer = original.apply(this, values);
          spy.look();
          return answer;
        },
      });
    }
  }
  private look(): void {
    if (this.isLooking) return;
    this.isLooking = true;
    for (const watch of this.watches) {
      const value = watch.read(this.session);
      if (value !== this.last.get(watch)!.value) this.last.set(watch, { value, line: kernelLine() });
    }
    this.isLooking = false;
  }
}
