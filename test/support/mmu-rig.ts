// An MMU over a little RAM, and page tables written by hand: what the tests of the mmu room stand on. Addresses are numbers; negative ones
// are the high half.
import { asPfn, highHalf, lowHalf } from '#base';
import { Access, Arena, Mmu, NO_HOST, Privilege, Pte, Ram, SatpMode, levelsOf, mmuBytes } from '#mmu';
import type { MmuOptions, TlbDescription } from '#mmu';

export const LEAF = Pte.V | Pte.R | Pte.W | Pte.X | Pte.U;
export const POINTER = Pte.V;
const HIGH_N = 1 << 31;

export interface Rig {
  readonly mmu: Mmu;
  readonly ram: Ram;
  /** The 64-bit word at a physical address. */
  word(pa: number): bigint;
  setWord(pa: number, value: bigint): void;
  /** Root of the tables that map() builds. */
  readonly root: number;
  /** Maps one leaf. @param order log2 pages: 0, 9, 18, 27, 36; 4 writes all sixteen entries of a Svnapot region. @param space which root */
  map(va: number, pa: number, flags?: number, order?: number, space?: number): void;
  /** Physical address of the entry for an address at a level (0: the leaf of a 4K page), or of the larger leaf or hole above it. */
  leafAt(va: number, space?: number, level?: number): number;
  useSpace(space: number, asid: number): void;
  /** One access, with its tick. @returns the physical address, or -cause */
  access(va: number, kind?: Access, second?: boolean): number;
}

export function rigWith(tlb: TlbDescription, options: Partial<Omit<MmuOptions, 'tlb'>> & { frames?: number } = {}): Rig {
  const sv = options.sv ?? 39;
  const frames = options.frames ?? 4096;
  const arena = new Arena(frames * 4096 + mmuBytes(tlb) + 2 * 65536 + frames);
  const ram = new Ram(arena, frames);
  const mmu = new Mmu(arena, ram, { tlb, sv, svadu: options.svadu ?? true, seed: options.seed ?? 1 });
  const mode = sv === 39 ? SatpMode.Sv39 : sv === 48 ? SatpMode.Sv48 : SatpMode.Sv57;
  const levels = levelsOf(mode);
  const host = (pa: number): number => ram.hostOf(asPfn(Math.floor(pa / 4096))) + (pa % 4096);
  const word = (pa: number): bigint => arena.view.getBigUint64(host(pa), true);
  const setWord = (pa: number, value: bigint): void => arena.view.setBigUint64(host(pa), BigInt.asUintN(64, value), true);
  let nextTable = 0x8000_0000;
  const newTable = (): number => {
    const at = nextTable;
    nextTable += 4096;
    return at;
  };
  const roots = new Map<number, number>();
  const rootOf = (space: number): number => {
    if (!roots.has(space)) roots.set(space, newTable());
    return roots.get(space)!;
  };
  const indexOf = (va: number, level: number): number => Number((BigInt.asUintN(64, BigInt(va)) >> BigInt(12 + 9 * level)) & 511n);
  const slot = (va: number, leafLevel: number, space: number, make: boolean): number => {
    let table = rootOf(space);
    for (let level = levels - 1; level > leafLevel; level--) {
      const at = table + indexOf(va, level) * 8;
      const entry = word(at);
      if ((entry & 1n) === 0n) {
        if (!make) return at;
        table = newTable();
        setWord(at, BigInt(table / 4096) << 10n | BigInt(POINTER));
      } else if ((entry & 0xen) !== 0n) return at;
      else table = Number((entry >> 10n) & 0xfff_ffff_ffffn) * 4096;
      if (!ram.has(table / 4096)) return at;
    }
    return table + indexOf(va, leafLevel) * 8;
  };
  const rig: Rig = {
    mmu, ram, word, setWord, root: rootOf(0),
    map(va, pa, flags = LEAF, order = 0, space = 0) {
      if (order === 4) {
        for (let i = 0; i < 16; i++) {
          setWord(slot(va + i * 4096, 0, space, true), BigInt(HIGH_N >>> 0) << 32n | BigInt(pa / 4096 + 8) << 10n | BigInt(flags));
        }
        return;
      }
      setWord(slot(va, order / 9, space, true), BigInt(pa / 4096) << 10n | BigInt(flags));
    },
    leafAt: (va, space = 0, level = 0) => slot(va, level, space, false),
    useSpace(space, asid) {
      const rootPpn = rootOf(space) / 4096;
      mmu.writeSatp((mode << 28) | (asid << 12), rootPpn | 0);
    },
    access(va, kind = Access.Load, second = false) {
      mmu.tick++;
      const at = mmu.lookup(highHalf(va), lowHalf(va), kind, second);
      if (at === NO_HOST) return -mmu.fault.cause;
      return ram.pfnOfHost(at) * 4096 + (((at >>> 0) - ram.hostBase) & 4095);
    },
  };
  mmu.setPrivilege(Privilege.User, false, false);
  rig.useSpace(0, 0);
  return rig;
}
