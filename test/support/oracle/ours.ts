// The same program on our machine, with no kernel: the test builds the page tables, runs in U mode, and answers the two system calls that the
// program makes. Pages lie in frames backwards, so that an access across two pages meets frames that are not neighbours.
import { PAGE_SIZE } from '#base';
import type { Asid, Pfn } from '#base';
import { Cause, ExitKind, Machine } from '#cpu';
import { Pte, makePte, presetNamed } from '#mmu';
import { CODE, DATA } from './program.ts';
import type { Program } from './program.ts';

const BUDGET = 2 ** 31;

export interface Run {
  /** The program's data at its end. */
  readonly data: Uint8Array;
  readonly instructions: number;
}

/** A machine with code and data mapped, and frames to take. */
export class Rig {
  readonly machine: Machine;
  private nextFrame: number;
  private lastFrame: number;
  private readonly root: Pfn;

  constructor(ramBytes: number) {
    this.machine = new Machine({ ramBytes, tlb: presetNamed('skylake') });
    this.nextFrame = this.machine.ram.firstPfn;
    this.lastFrame = this.machine.ram.firstPfn + this.machine.ram.nrFrames;
    this.root = this.takeTable();
  }
  private takeTable(): Pfn {
    return this.nextFrame++ as Pfn;
  }
  /** The frame of the page of an address below 2^38. */
  private pageOf(address: number): Pfn | null {
    let table = this.root;
    for (const shift of [30, 21, 12]) {
      const pte = this.machine.pteLow(table, Math.floor(address / 2 ** shift) & 511);
      if (pte === 0) return null;
      table = (pte >>> 10) as Pfn;
    }
    return table;
  }
  /** Maps one page of bytes at an address. */
  private map(address: number, bytes: Uint8Array, flags: number): void {
    let table = this.root;
    for (const shift of [30, 21]) {
      const index = Math.floor(address / 2 ** shift) & 511;
      if (this.machine.pteLow(table, index) === 0) this.machine.storePte(table, index, makePte(this.takeTable(), Pte.V), 0);
      table = (this.machine.pteLow(table, index) >>> 10) as Pfn;
    }
    const frame = --this.lastFrame as Pfn;
    this.machine.writeFrame(frame, 0, bytes);
    this.machine.storePte(table, (address >>> 12) & 511, makePte(frame, Pte.V | Pte.U | flags), 0);
  }
  load(address: number, bytes: Uint8Array, flags: number): void {
    for (let at = 0; at < bytes.length; at += PAGE_SIZE) this.map(address + at, bytes.subarray(at, at + PAGE_SIZE), flags);
    this.machine.setAddressSpace(this.root, 1 as Asid);
    this.machine.fence(null, null);
  }
  read(address: number, lenBytes: number): Uint8Array {
    const into = new Uint8Array(lenBytes);
    for (let at = 0; at < lenBytes; at += PAGE_SIZE) {
      this.machine.readFrame(this.pageOf(address + at)!, 0, into.subarray(at, at + PAGE_SIZE));
    }
    return into;
  }
}

/** Runs a program to its exit. @throws when it does anything but write its data and exit(0) */
export function runHere(program: Program): Run {
  const pages = Math.ceil(program.code.length / PAGE_SIZE) + Math.ceil(program.data.length / PAGE_SIZE);
  const rig = new Rig(Math.max(16 << 20, (pages + Math.ceil(pages / 512) + 64) * PAGE_SIZE));
  rig.load(CODE, program.code, Pte.R | Pte.X);
  rig.load(DATA, program.data, Pte.R | Pte.W);
  const { machine } = rig;
  machine.pc = BigInt(program.entry);
  for (;;) {
    const exit = machine.run(BUDGET);
    if (exit.kind !== ExitKind.Trap || exit.cause !== Cause.EcallFromU) {
      throw new Error(`exit ${exit.kind}, cause ${exit.cause}, stval ${exit.tvalHi.toString(16)}:${(exit.tvalLo >>> 0).toString(16)} at pc ${machine.pc.toString(16)}`);
    }
    if (machine.x[17] === 93n) break;
    machine.x[10] = machine.x[12]!; // write: all of it is out
    machine.pc += 4n;
  }
  if (machine.x[10] !== 0n) throw new Error(`exit(${machine.x[10]})`);
  return { data: rig.read(DATA, program.data.length), instructions: machine.instret };
}
