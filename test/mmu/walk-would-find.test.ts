// What an engine may remember of a page that L2 has served: that, and only that, which a walk would find. Each line breaks it in one place.
import { expect, test } from 'vitest';
import { asAsid, asPfn, asVpn } from '#base';
import { Access, Pte, presetNamed } from '#mmu';
import type { TlbDescription } from '#mmu';
import { hartRig } from '../support/hart-rig.ts';
import type { HartRig } from '../support/hart-rig.ts';

const PAGE = 0x40000;
const CODE = 0x10000;
const ROOT_INDEX = 0;
const fence = ({ machine }: HartRig): void => { machine.fence(null, asVpn(PAGE / 4096)); };
const setPointer = ({ machine, root }: HartRig, flags: number): void => { machine.storePte(root, ROOT_INDEX, machine.pteLow(root, ROOT_INDEX) | flags, 0); };

/** After a load from a page that the first maps, and after the second: may the page be remembered? */
const cases: Readonly<Record<string, readonly [expected: boolean, before: (rig: HartRig) => void, after: (rig: HartRig) => void, tlb?: TlbDescription]>> = {
  'nothing has changed': [true, (rig) => { rig.map(PAGE, 'rwad', asPfn(rig.root + 512)); }, () => {}],
  'the page is not dirty, and memory says so, too': [true, (rig) => { rig.map(PAGE, 'rwa', asPfn(rig.root + 512)); }, () => {}],
  'another page is mapped': [true, (rig) => { rig.map(PAGE, 'rwad', asPfn(rig.root + 512)); }, (rig) => { rig.map(PAGE + 4096, 'rwad'); }],
  'L2 does not hold it': [false, (rig) => { rig.map(PAGE, 'rwad', asPfn(rig.root + 512)); }, fence],
  'another frame': [false, (rig) => { rig.map(PAGE, 'rwad', asPfn(rig.root + 512)); }, (rig) => { rig.map(PAGE, 'rwad', asPfn(rig.root + 513)); }],
  'other rights': [false, (rig) => { rig.map(PAGE, 'rwad', asPfn(rig.root + 512)); }, (rig) => { rig.map(PAGE, 'rwxad', asPfn(rig.root + 512)); }],
  'A is gone from memory': [false, (rig) => { rig.map(PAGE, 'rwa', asPfn(rig.root + 512)); }, (rig) => { rig.map(PAGE, 'rw', asPfn(rig.root + 512)); }],
  'D is gone from memory': [false, (rig) => { rig.map(PAGE, 'rwad', asPfn(rig.root + 512)); }, (rig) => { rig.map(PAGE, 'rwa', asPfn(rig.root + 512)); }],
  'D is in memory only': [false, (rig) => { rig.map(PAGE, 'rwa', asPfn(rig.root + 512)); }, (rig) => { rig.map(PAGE, 'rwad', asPfn(rig.root + 512)); }],
  'the page is global': [false, (rig) => { rig.map(PAGE, 'rwadg', asPfn(rig.root + 512)); }, () => {}],
  'it is global by a pointer above it': [false, (rig) => { rig.map(PAGE, 'rwad', asPfn(rig.root + 512)); setPointer(rig, Pte.G); }, () => {}],
  'it has become global by a pointer above it': [false, (rig) => { rig.map(PAGE, 'rwad', asPfn(rig.root + 512)); }, (rig) => { setPointer(rig, Pte.G); }],
  'it was global by a pointer above it': [false, (rig) => { rig.map(PAGE, 'rwad', asPfn(rig.root + 512)); setPointer(rig, Pte.G); }, ({ machine, root }) => {
    machine.storePte(root, ROOT_INDEX, machine.pteLow(root, ROOT_INDEX) & ~Pte.G, 0);
  }, { ...presetNamed('generic'), pwc: {} }],
  'the pointer above it is gone': [false, (rig) => { rig.map(PAGE, 'rwad', asPfn(rig.root + 512)); }, ({ machine, root }) => { machine.storePte(root, ROOT_INDEX, 0, 0); }],
  'a page-walk cache holds a pointer that memory does not': [false, (rig) => {
    rig.map(PAGE, 'rwad', asPfn(rig.root + 512));
    rig.map(PAGE + 2 ** 30, 'rwad');
    rig.set({ s1: PAGE + 2 ** 30 });
  }, ({ machine, root }) => { machine.storePte(root, 1, 0, 0); }],
  'another address space': [false, (rig) => { rig.map(PAGE, 'rwad', asPfn(rig.root + 512)); }, ({ machine, root }) => { machine.setAddressSpace(root, asAsid(2)); }],
};

test.each(Object.entries(cases))('%s', (_name, [expected, before, after, tlb = presetNamed('generic')]) => {
  const rig = hartRig({ tlb, engine: 'interp' });
  const { machine } = rig;
  machine.x[9] = BigInt(PAGE);
  before(rig);
  rig.code(CODE, ['ld t0,0(s0)', 'ld t1,0(s1)']);
  rig.set({ s0: PAGE });
  expect(rig.run(2)).toBe('budget');
  expect(machine.mmu.counters.l1Misses[Access.Load]).toBeGreaterThan(0);
  after(rig);
  machine.mmu.publish();
  expect(machine.mmu.walkWouldFind(PAGE >>> 12, 0)).toBe(expected);
});
