// Random operations on several processes against a naive model of what programs can see: rights by page, contents by page. After every
// step the kernel's invariants are checked; at the end everything must have come back. Memory is short, and allocations fail on purpose.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { asPfn } from '#base';
import { FaultResult } from '#kernel/mm/fault.ts';
import { AddressSpace } from '#kernel/mm/filemap.ts';
import type { FileMapping } from '#kernel/mm/filemap.ts';
import { dupMm } from '#kernel/mm/fork.ts';
import { Madvise } from '#kernel/mm/madvise.ts';
import { MapFlag, MremapFlag, Prot } from '#kernel/mm/mman.ts';
import type { MmSystem } from '#kernel/mm/system.ts';
import { Program, bootSystem } from '../../support/mm-fixture.ts';

// The arena: 4.5 MiB of addresses around 2 MiB boundaries.
const BASE = 0x10_0000_0000 - 0x40000;
const PAGES = 1152;
const FILE_PAGES = 96;

/** A page of the model: its rights, and where its byte is. */
type Backing = { kind: 'anon'; value: number } | { kind: 'file'; shared: boolean; index: number; own: number | null };
interface Page { prot: number; backing: Backing; dontCopy: boolean }
type Model = Map<number, Page>;

class World {
  readonly system: MmSystem;
  readonly processes: { program: Program; model: Model }[] = [];
  readonly space: AddressSpace;
  readonly fileBytes = new Map<number, number>();
  filePages = FILE_PAGES;
  readonly file: FileMapping;
  readonly freeAtBoot: number;

  constructor(orders: readonly number[]) {
    this.system = bootSystem({ orders, ramBytes: 24 << 20, soiled: true }).system;
    this.freeAtBoot = this.system.pages.freePagesAndStock;
    this.space = new AddressSpace(this.system, 'file');
    this.space.truncate(FILE_PAGES * 4096);
    this.file = { space: this.space, path: '/tmp/fuzz', ino: 2, devMajor: 0, devMinor: 1, mayWrite: true };
    const first = { program: Program.on(this.system), model: new Map() as Model };
    this.processes.push(first);
    // Most of the arena is there from the start, and some of it used.
    first.program.map(PAGES * 3 / 4 * 4096, BASE);
    for (let page = 0; page < PAGES * 3 / 4; page++) first.model.set(vpnAt(page), { prot: Prot.Read | Prot.Write, backing: { kind: 'anon', value: 0 }, dontCopy: false });
    for (let page = 0; page < 300; page++) write(this, first, page, page % 255 + 1);
  }
  at(n: number): { program: Program; model: Model } {
    return this.processes[n % this.processes.length]!;
  }
  /** What the program should see at a page; null: a signal. */
  expected(model: Model, vpn: number): number | null {
    const page = model.get(vpn);
    if (page === undefined || (page.prot & 3) === 0) return null;
    if (page.backing.kind === 'anon') return page.backing.value;
    if (page.backing.own !== null) return page.backing.own;
    return page.backing.index >= this.filePages ? null : (this.fileBytes.get(page.backing.index) ?? 0);
  }
}

const vpnAt = (page: number): number => BASE / 4096 + page;
/** Where an operation works: somewhere in the arena, or in a mapping that is there when its turn comes: all of it, a part, or the part
 *  between boundaries of 64 kB or 2 MiB. */
interface Spot { readonly how: 'arena' | 'whole' | 'part' | 'aligned'; readonly pick: number; readonly page: number; readonly len: number }
const spot: fc.Arbitrary<Spot> = fc.record({
  how: fc.constantFrom('arena', 'whole', 'part', 'part', 'aligned'), pick: fc.nat(1000), page: fc.nat(PAGES - 1),
  len: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(1, 4, 16, 32, 512, 600)),
});
function resolve(program: Program, s: Spot): { page: number; len: number } {
  const vmas = program.mm.vmas;
  if (s.how === 'arena' || vmas.length === 0) return { page: s.page, len: Math.min(s.len, PAGES - s.page) };
  const vma = vmas[s.pick % vmas.length]!;
  const first = vma.start / 4096 - BASE / 4096;
  const nr = vma.nrPages;
  if (s.how === 'whole') return { page: first, len: nr };
  const from = first + (s.page % nr);
  const part = { page: from, len: Math.min(s.len, first + nr - from) };
  if (s.how === 'part') return part;
  const unit = s.len >= 512 ? 512 : 16;
  const aligned = Math.ceil((BASE / 4096 + first) / unit) * unit - BASE / 4096;
  return aligned + unit <= first + nr ? { page: aligned, len: unit } : part;
}
const prots = fc.constantFrom(0, Prot.Read, Prot.Read | Prot.Write, Prot.Read | Prot.Write, Prot.Write, Prot.Read | Prot.Exec);

interface Step { readonly name: string; run(w: World): void }
const step = <T>(name: string, facts: fc.Arbitrary<T>, run: (w: World, facts: T) => void): fc.Arbitrary<Step> =>
  facts.map((f) => ({ name: `${name} ${JSON.stringify(f)}`, run: (w) => run(w, f), toString: () => `${name} ${JSON.stringify(f)}` }));
const who = fc.nat(3);

function write(w: World, { program, model }: { program: Program; model: Model }, page: number, value: number): void {
  const va = vpnAt(page) * 4096 + 5;
  const entry = model.get(vpnAt(page));
  const result = program.write(va);
  if (result === FaultResult.OutOfMemory) return;
  const beyond = entry?.backing.kind === 'file' && entry.backing.own === null && entry.backing.index >= w.filePages;
  const allowed = entry === undefined ? FaultResult.MapErr : (entry.prot & Prot.Write) === 0 ? FaultResult.AccErr : beyond ? FaultResult.BusError : FaultResult.Done;
  expect(result).toBe(allowed);
  if (result !== FaultResult.Done || entry === undefined) return;
  expect(program.user.write(va, Uint8Array.of(value))).toBe(true);
  if (entry.backing.kind === 'anon') entry.backing.value = value;
  else if (entry.backing.shared) w.fileBytes.set(entry.backing.index, value);
  else entry.backing.own = value;
}

const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: step('write', fc.record({ who, page: fc.nat(PAGES - 1), value: fc.integer({ min: 1, max: 255 }) }), (w, { who: n, page, value }) => write(w, w.at(n), page, value)) },
  { weight: 2, arbitrary: step('write all', fc.record({ who, spot, value: fc.integer({ min: 1, max: 255 }), stride: fc.integer({ min: 1, max: 5 }) }), (w, { who: n, spot: s, value, stride }) => {
    const r = resolve(w.at(n).program, s);
    for (let i = 0; i < r.len; i += stride) write(w, w.at(n), r.page + i, value);
  }) },
  { weight: 3, arbitrary: step('read', fc.record({ who, spot }), (w, { who: n, spot: s }) => {
    const r = resolve(w.at(n).program, s);
    const { program } = w.at(n);
    for (let i = 0; i < Math.min(r.len, 20); i++) program.read(vpnAt(r.page + i) * 4096);
  }) },
  { weight: 4, arbitrary: step('mmap', fc.record({ who, spot, prot: prots, populate: fc.boolean() }), (w, { who: n, spot: s, prot, populate }) => {
    const r = resolve(w.at(n).program, s);
    const { program, model } = w.at(n);
    const flags = MapFlag.Private | MapFlag.Anonymous | MapFlag.Fixed | (populate ? MapFlag.Populate : 0);
    const result = program.mm.mmap({ addr: vpnAt(r.page) * 4096, len: r.len * 4096, prot, flags, file: null, pgoff: 0 });
    if (result < 0) return;
    for (let i = 0; i < r.len; i++) model.set(vpnAt(r.page + i), { prot, backing: { kind: 'anon', value: 0 }, dontCopy: false });
  }) },
  { weight: 2, arbitrary: step('mmap file', fc.record({ who, spot, prot: prots, shared: fc.boolean(), pgoff: fc.nat(FILE_PAGES) }), (w, { who: n, spot: s, prot, shared, pgoff }) => {
    const r = resolve(w.at(n).program, s);
    const { program, model } = w.at(n);
    const result = program.mm.mmap({ addr: vpnAt(r.page) * 4096, len: r.len * 4096, prot, flags: (shared ? MapFlag.Shared : MapFlag.Private) | MapFlag.Fixed, file: w.file, pgoff });
    if (result < 0) return;
    for (let i = 0; i < r.len; i++) model.set(vpnAt(r.page + i), { prot, backing: { kind: 'file', shared, index: pgoff + i, own: null }, dontCopy: false });
  }) },
  { weight: 2, arbitrary: step('munmap', fc.record({ who, spot }), (w, { who: n, spot: s }) => {
    const r = resolve(w.at(n).program, s);
    const { program, model } = w.at(n);
    expect(program.mm.munmap(vpnAt(r.page) * 4096, r.len * 4096)).toBe(0);
    for (let i = 0; i < r.len; i++) model.delete(vpnAt(r.page + i));
  }) },
  { weight: 3, arbitrary: step('mprotect', fc.record({ who, spot, prot: prots }), (w, { who: n, spot: s, prot }) => {
    const r = resolve(w.at(n).program, s);
    const { program, model } = w.at(n);
    const result = program.mm.mprotect(vpnAt(r.page) * 4096, r.len * 4096, prot);
    // What lies before the first hole has changed.
    for (let i = 0; i < r.len; i++) {
      const page = model.get(vpnAt(r.page + i));
      if (page === undefined) {
        expect(result).toBe(-12);
        return;
      }
      page.prot = prot;
    }
    expect(result).toBe(0);
  }) },
  { weight: 3, arbitrary: step('dontneed', fc.record({ who, spot }), (w, { who: n, spot: s }) => {
    const r = resolve(w.at(n).program, s);
    const { program, model } = w.at(n);
    // A locked VMA ends it with EINVAL, with what lies before it gone: find out how far it came by asking page by page.
    for (let i = 0; i < r.len; i++) {
      const vma = program.mm.findVma(vpnAt(r.page + i) * 4096);
      if (vma !== null && (vma.flags & 0x2000) !== 0) return;
    }
    program.mm.madvise(vpnAt(r.page) * 4096, r.len * 4096, Madvise.DontNeed);
    for (let i = 0; i < r.len; i++) {
      const page = model.get(vpnAt(r.page + i));
      if (page?.backing.kind === 'anon') page.backing.value = 0;
      else if (page?.backing.kind === 'file') page.backing.own = null;
    }
  }) },
  { weight: 3, arbitrary: step('advise', fc.record({ who, spot, advice: fc.constantFrom(Madvise.HugePage, Madvise.NoHugePage, Madvise.Free, Madvise.PopulateRead, Madvise.PopulateWrite, Madvise.Sequential, Madvise.Normal) }), (w, { who: n, spot: s, advice }) => {
    const r = resolve(w.at(n).program, s);
    w.at(n).program.mm.madvise(vpnAt(r.page) * 4096, r.len * 4096, advice);
  }) },
  { weight: 1, arbitrary: step('lock', fc.record({ who, spot, lock: fc.boolean() }), (w, { who: n, spot: s, lock }) => {
    const r = resolve(w.at(n).program, s);
    const { mm } = w.at(n).program;
    if (lock) mm.mlock(vpnAt(r.page) * 4096, r.len * 4096);
    else mm.munlock(vpnAt(r.page) * 4096, r.len * 4096);
  }) },
  { weight: 3, arbitrary: step('mremap', fc.record({ who, spot, to: fc.nat(PAGES - 1), newLen: fc.integer({ min: 1, max: 600 }), keep: fc.boolean() }), (w, { who: n, spot: s, to, newLen: want, keep }) => {
    const r = resolve(w.at(n).program, s);
    const { program, model } = w.at(n);
    const newLen = keep ? r.len : Math.min(want, PAGES - to);
    if (to + newLen > PAGES) return;
    const flags = MremapFlag.MayMove | MremapFlag.Fixed | (keep ? MremapFlag.DontUnmap : 0);
    const result = program.mm.mremap(vpnAt(r.page) * 4096, r.len * 4096, newLen * 4096, flags, vpnAt(to) * 4096);
    if (result < 0) {
      // It may have emptied the target, cut its tail off or moved some of several mappings before it failed.
      relearn(w, program, model);
      return;
    }
    expect(result).toBe(vpnAt(to) * 4096);
    const moved: (Page | undefined)[] = [];
    for (let i = 0; i < r.len; i++) moved.push(model.get(vpnAt(r.page + i)));
    for (let i = 0; i < r.len; i++) {
      const page = moved[i];
      if (!keep) model.delete(vpnAt(r.page + i));
      else if (page !== undefined) model.set(vpnAt(r.page + i), { ...page, backing: page.backing.kind === 'anon' ? { kind: 'anon', value: 0 } : { ...page.backing, own: null } });
    }
    const first = moved[0]!;
    for (let i = 0; i < newLen; i++) {
      const page = moved[i];
      const { backing } = first;
      if (page !== undefined) model.set(vpnAt(to + i), page);
      // A gap between mappings that moved together leaves the target as it was; growth continues the mapping.
      else if (i >= r.len) {
        model.set(vpnAt(to + i), { prot: first.prot, dontCopy: false,
          backing: backing.kind === 'anon' ? { kind: 'anon', value: 0 } : { kind: 'file', shared: backing.shared, index: backing.index + i, own: null } });
      }
    }
  }) },
  { weight: 3, arbitrary: step('fork', who, (w, n) => {
    if (w.processes.length >= 4) return;
    const { program, model } = w.at(n);
    const mm = dupMm(program.mm);
    if (mm === null) return;
    mm.activate();
    const copy: Model = new Map();
    for (const [vpn, page] of model) copy.set(vpn, { ...page, backing: { ...page.backing } });
    w.processes.push({ program: new Program(mm), model: copy });
  }) },
  { weight: 2, arbitrary: step('exit', who, (w, n) => {
    if (w.processes.length === 1) return;
    const [gone] = w.processes.splice(n % w.processes.length, 1);
    gone!.program.mm.dispose();
  }) },
  { weight: 1, arbitrary: step('truncate', fc.nat(FILE_PAGES), (w, pages) => {
    w.space.truncate(pages * 4096);
    w.filePages = pages;
    for (const index of [...w.fileBytes.keys()]) if (index >= pages) w.fileBytes.delete(index);
    for (const { model } of w.processes) {
      for (const page of model.values()) if (page.backing.kind === 'file' && page.backing.index >= pages) page.backing.own = null;
    }
  }) },
  { weight: 1, arbitrary: step('let allocations fail after', fc.option(fc.nat(30)), (w, after) => {
    w.system.allocationsUntilFailure = after ?? Infinity;
  }) },
);

/** After an operation that may stop half-way: the model takes over what is there now. */
function relearn(w: World, program: Program, model: Model): void {
  const byte = new Uint8Array(1);
  for (let page = 0; page < PAGES; page++) {
    const vpn = vpnAt(page);
    const vma = program.mm.findVma(vpn * 4096);
    model.delete(vpn);
    if (vma === null) continue;
    const frame = program.frame(vpn * 4096);
    if (frame !== 0) w.system.machine.readFrame(asPfn(frame), 5, byte);
    const value = frame === 0 ? 0 : byte[0]!;
    const isOwn = frame !== 0 && w.system.folios.isAnon(w.system.folios.folioOf(asPfn(frame)));
    model.set(vpn, { prot: vma.flags & 7, dontCopy: false, backing: vma.file === null ? { kind: 'anon', value }
      : { kind: 'file', shared: (vma.flags & 8) !== 0, index: vma.pgoffOf(vpn * 4096), own: isOwn ? value : null } });
  }
}

/** What every program sees is what the model says. Looks at frames, so that looking faults nothing in. */
function compare(w: World): void {
  const byte = new Uint8Array(1);
  for (const { program, model } of w.processes) {
    for (let page = 0; page < PAGES; page++) {
      const vpn = vpnAt(page);
      const entry = model.get(vpn);
      const vma = program.mm.findVma(vpn * 4096);
      if ((vma === null) !== (entry === undefined)) throw new Error(`page ${page} ${vma === null ? 'is not mapped' : 'is mapped'}`);
      if (entry === undefined || vma === null) continue;
      if ((vma.flags & 7) !== entry.prot) throw new Error(`page ${page} has rights ${vma.flags & 7}, should have ${entry.prot}`);
      const frame = program.frame(vpn * 4096);
      const expected = w.expected(model, vpn);
      if (frame === 0 || expected === null) continue;
      w.system.machine.readFrame(asPfn(frame), 5, byte);
      if (byte[0] !== expected) throw new Error(`page ${page} holds ${byte[0]}, should hold ${expected}`);
    }
  }
}

describe('random operations', () => {
  for (const [name, orders] of [['base pages', []], ['16 kB', [2]], ['64 kB', [4]], ['2 MiB', [9]], ['16 kB, 64 kB, 128 kB and 2 MiB', [2, 4, 5, 9]]] as const) {
    test(`with ${name} keep every invariant and every byte`, () => {
      fc.assert(fc.property(fc.array(steps, { minLength: 10, maxLength: 60, size: 'max' }), (list) => {
        const w = new World(orders);
        for (const s of list) {
          s.run(w);
          w.system.check();
          compare(w);
        }
        w.system.allocationsUntilFailure = Infinity;
        for (const { program } of w.processes) program.mm.dispose();
        w.space.release();
        w.system.check();
        expect(w.system.pages.freePagesAndStock + (w.system.hugeZeroFolio === 0 ? 0 : 512)).toBe(w.freeAtBoot);
      }), { numRuns: Number(process.env['FUZZ_RUNS'] ?? 8) });
    });
  }
});
