// Breakpoints and watchpoints as gdb puts them: Z packets, each for one process. Here: which there are, and the question for the timeline that they come
// to. Instructions in memory are never changed: a stop before an address is the machine's own.
import type { Session } from '../../boot.ts';
import type { MemoryWatch, Stop, Until } from '../timeline.ts';

export const PointType = { Software: 0, Hardware: 1, Write: 2, Read: 3, Access: 4 } as const;
export type PointType = (typeof PointType)[keyof typeof PointType];
interface GdbPoint { readonly type: PointType; readonly tgid: number; readonly address: number; readonly kind: number }

const ways: Readonly<Record<number, MemoryWatch['on']>> = { [PointType.Write]: 'write', [PointType.Read]: 'read', [PointType.Access]: 'access' };
const words: Readonly<Record<number, string>> = { [PointType.Write]: 'watch', [PointType.Read]: 'rwatch', [PointType.Access]: 'awatch' };
const MAX_POINTS = 10_000;
/** Most bytes that one watchpoint covers. */
const MAX_WATCHED = 4096;

export class GdbPoints {
  private all: GdbPoint[] = [];

  /** @param kind breakpoints: 2 or 4, the bytes of the instruction; watchpoints: how many bytes @returns false: no such point can be */
  insert(type: PointType, tgid: number, address: number, kind: number): boolean {
    const isBreakpoint = type <= PointType.Hardware;
    if (isBreakpoint ? kind !== 2 && kind !== 4 : kind < 1 || kind > MAX_WATCHED) return false;
    if (address < 0 || (isBreakpoint && address % 2 !== 0) || this.all.length >= MAX_POINTS) return false;
    this.remove(type, tgid, address, kind);
    this.all.push({ type, tgid, address, kind });
    return true;
  }
  remove(type: PointType, tgid: number, address: number, kind: number): void {
    this.all = this.all.filter((p) => p.type !== type || p.tgid !== tgid || p.address !== address || p.kind !== kind);
  }
  /** A process is gone, or runs another program. */
  forget(tgid: number): void {
    this.all = this.all.filter((p) => p.tgid !== tgid);
  }
  /** A child begins with its parent's, as it begins with its memory. */
  copy(from: number, to: number): void {
    this.all.push(...this.all.filter((p) => p.tgid === from).map((p) => ({ ...p, tgid: to })));
  }

  /** The breakpoint before an address in a process; null: none. */
  breakAt(tgid: number, address: number): PointType | null {
    return this.all.find((p) => p.type <= PointType.Hardware && p.tgid === tgid && p.address === address)?.type ?? null;
  }
  /** All of them as a question. */
  until(session: Session): Pick<Until, 'pcs' | 'memory'> {
    const addresses = new Set(this.all.filter((p) => p.type <= PointType.Hardware).map((p) => p.address));
    const at = (pc: number): boolean => this.breakAt(session.kernel.current?.tgid ?? 0, pc) !== null;
    const memory = this.all.flatMap((p, id): MemoryWatch[] => {
      const task = session.kernel.processes.get(p.tgid)?.threads.find(({ hasMm }) => hasMm);
      const on = ways[p.type];
      return task === undefined || on === undefined ? [] : [{ id, space: { mmId: task.mm.id }, start: p.address, lenBytes: p.kind, on }];
    });
    return { ...(addresses.size === 0 ? {} : { pcs: { addresses, at } }), ...(memory.length === 0 ? {} : { memory }) };
  }
  /** 'watch:1f00;' for a stop at a watchpoint of the last question. */
  watchText({ watch, address }: Extract<Stop, { kind: 'memory' }>): string {
    const type = this.all[watch.id]?.type ?? PointType.Access;
    return `${words[type]}:${address.toString(16)};`;
  }
}
