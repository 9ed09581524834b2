// Tracepoints: named events with named fields, under Linux's names where Linux has the event. A call site reads
//   if (mmPageAlloc.enabled) mmPageAlloc.emit(pfn, order);
// so that what nobody listens to costs one load. Listeners read events; they change nothing.

/** How a field prints itself. 'va' and 'hex' print 0x...; 'pfn' too; 'text' is an index into the tracepoint's own words. */
export type FieldKind = 'dec' | 'hex' | 'va' | 'pfn';
export type TraceSink = (point: Tracepoint, values: readonly number[]) => void;

const registry = new Map<string, Tracepoint>();

export class Tracepoint {
  /** True while somebody listens. */
  enabled = false;
  readonly name: string;
  /** Linux's group: 'kmem' in kmem:mm_page_alloc. */
  readonly system: string;
  readonly fields: readonly { readonly name: string; readonly kind: FieldKind }[];
  private sinks: readonly TraceSink[] = [];

  constructor(name: string, system: string, fields: Readonly<Record<string, FieldKind>>) {
    this.name = name;
    this.system = system;
    this.fields = Object.entries(fields).map(([field, kind]) => ({ name: field, kind }));
  }

  emit(...values: number[]): void {
    const { sinks } = this;
    for (let i = 0; i < sinks.length; i++) sinks[i]!(this, values);
  }

  /** Starts listening; call the answer to stop. */
  listen(sink: TraceSink): () => void {
    this.sinks = [...this.sinks, sink];
    this.enabled = true;
    return () => {
      this.sinks = this.sinks.filter((s) => s !== sink);
      this.enabled = this.sinks.length > 0;
    };
  }

  /** 'pfn=0x80012 order=4', in ftrace's manner. */
  format(values: readonly number[]): string {
    return this.fields.map((f, i) => `${f.name}=${f.kind === 'dec' ? values[i] : `0x${BigInt.asUintN(64, BigInt(values[i] ?? 0)).toString(16)}`}`).join(' ');
  }
}

/** Declares a tracepoint once, at module level. */
export function tracepoint(name: string, system: string, fields: Readonly<Record<string, FieldKind>>): Tracepoint {
  const point = new Tracepoint(name, system, fields);
  registry.set(name, point);
  return point;
}
/** Every declared tracepoint, by name. */
export const tracepoints = (): ReadonlyMap<string, Tracepoint> => registry;
