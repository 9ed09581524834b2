// Which executable a process runs, where it was put, and what is known of its code. Here: from an address space to its ProgramSource, and up its stack.
// A file is read once: a program's may not be written while it runs.
import { VmFlag } from '#kernel';
import type { FileMapping, Mm, Task } from '#kernel';
import type { Session } from '../boot.ts';
import { Damaged } from './dwarf/index.ts';
import type { Inflate } from './elf.ts';
import { fileBytesAt, memoryAt } from './memory.ts';
import { ProgramSource } from './source.ts';
import { unwind } from './unwind.ts';
import type { CodeHome, StackFrame } from './unwind.ts';


export class Programs {
  private readonly inflate: Inflate | null;
  private readonly known = new WeakMap<FileMapping, ProgramSource | null>();

  /** @param inflate for compressed debug sections; null: those are left out */
  constructor(inflate: Inflate | null = null) {
    this.inflate = inflate;
  }
  /** The executable of an address space, and what is to be added to its addresses; null: none, or not to be read. */
  homeOf(session: Session, mm: Mm): CodeHome | null {
    const source = mm.exeFile === null ? null : this.sourceOf(session, mm.exeFile);
    return source === null ? null : { source, bias: biasOf(mm, source) };
  }
  private sourceOf(session: Session, file: FileMapping): ProgramSource | null {
    let source = this.known.get(file);
    if (source === undefined) {
      source = this.read(executableBytes(session, file));
      this.known.set(file, source);
    }
    return source;
  }
  private read(bytes: Uint8Array | null): ProgramSource | null {
    if (bytes === null) return null;
    try {
      return new ProgramSource(bytes, this.inflate);
    } catch (error) {
      if (error instanceof Damaged) return null; // no ELF file: a damaged one is not run either
      throw error;
    }
  }

  /** The calls that led to where a task stands, the innermost first. */
  stackOf(session: Session, task: Task, maxFrames?: number): StackFrame[] {
    if (!task.hasMm) return [];
    const { mm } = task;
    const home = this.homeOf(session, mm);
    const read = (address: number, lenBytes: number): Uint8Array | null => {
      const bytes = memoryAt(mm, address, lenBytes);
      return bytes.length < lenBytes ? null : bytes;
    };
    const isCode = (address: number): boolean => {
      const vma = address >= 0 && address < mm.taskSize ? mm.findVma(address) : null;
      return vma !== null && (vma.flags & VmFlag.Exec) !== 0;
    };
    const homeOf = (address: number): CodeHome | null => (home !== null && home.source.elf.isCode(address - home.bias) ? home : null);
    return unwind(registersOf(session, task).slice(0, 32), { read, homeOf, isCode }, maxFrames);
  }
}

/** pc at [0], x1 to x31, f0 to f31, fcsr: a copy. */
export function registersOf({ kernel, machine }: Session, task: Task): bigint[] {
  if (kernel.loadedTask !== task) return [...task.context];
  const words = new BigInt64Array(task.context.length);
  machine.saveContext(words);
  return [...words];
}

/** All of a file that is run: from memory, or else as the host gave it. */
export function executableBytes({ config }: Session, { space, path }: FileMapping): Uint8Array | null {
  const bytes = fileBytesAt(space, 0, space.sizeBytes);
  if (bytes.length === space.sizeBytes) return bytes;
  const given = config.inputs.files.find((file) => file.path === path);
  return given !== undefined && given.bytes.length === space.sizeBytes ? given.bytes : null;
}
/** Its lowest segment lies at startCode. */
function biasOf(mm: Mm, { elf }: ProgramSource): number {
  return elf.isPie && elf.segments.length > 0 ? mm.startCode - Math.min(...elf.segments.map((s) => s.address)) : 0;
}
