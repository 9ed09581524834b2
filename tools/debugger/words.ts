// What is typed after a command, read against the machine as it stands: addresses, frames, numbers, places of code. Every refusal says what to write instead.
import { hex, UserError } from '#base';
import type { Mm, Task } from '#kernel';
import type { Session } from '../boot.ts';
import { didYouMean } from '../suggest.ts';
import { expression } from './expression.ts';
import type { Facts, Scope } from './expression.ts';
import type { GuestCode } from './guest-code.ts';

/** What words are read against. */
export interface Around {
  readonly session: Session;
  readonly task: Task | null;
  readonly code: GuestCode;
  readonly scope: Scope;
  readonly facts: Facts;
}

export class Words {
  private readonly around: () => Around;

  constructor(around: () => Around) {
    this.around = around;
  }
  /** The address space that is looked at. @throws UserError when nobody has one */
  mm(command: string): Mm {
    const { task } = this.around();
    if (task === null || !task.hasMm) throw new UserError(`${command}: no program has memory here. Go to a place where one runs, as with reverse-stepi or seek 1.`);
    return task.mm;
  }
  task(command: string): Task {
    const { task } = this.around();
    if (task === null) throw new UserError(`${command}: no task is there. Go to a place where one runs, as with reverse-stepi or seek 1.`);
    return task;
  }
  /** A number, or an expression without blanks: 4096, 4K, sp+8. @throws UserError */
  number(word: string, what: string): number {
    if (word === '') throw new UserError(`${what}: a number is missing. Write it as 4096, 0x1000, 4K, or with names, as sp+8.`);
    const { scope, facts } = this.around();
    const made = expression(word, scope);
    if (made.type !== 'number') throw new UserError(`${what} ${word}: not a number.`);
    const value = made.evaluate(facts) as bigint;
    if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < 0n) throw new UserError(`${what} ${word}: is ${value}, out of range. Write 0 to 2^53 - 1.`);
    return Number(value);
  }
  /** An address of a program: a number, a register, a symbol, an expression. @throws UserError */
  address(word: string, what: string): number {
    if (word === '') throw new UserError(`${what}: an address is missing. Write it as 0x3f00200000, a symbol, or with registers, as sp+8.`);
    const { code } = this.around();
    const address = code.addressOf(word) ?? this.number(word.replace(/^\*/, ''), what);
    const { taskSize } = this.mm(what);
    if (address >= taskSize) throw new UserError(`${what} ${hex(address)}: not an address of a program; they end at ${hex(taskSize)}.`);
    return address;
  }
  /** A frame of RAM, by its number, or of an address in RAM. @throws UserError */
  frame(word: string, what: string): number {
    if (word === '') throw new UserError(`${what}: a frame number is missing. Write it as 0x80100; pt ADDRESS shows the frame of an address.`);
    const pfn = this.number(word, what);
    const { folios } = this.around().session.kernel.system;
    if (!folios.has(pfn)) throw new UserError(`${what} ${hex(pfn)}: not a frame of RAM. Frames go from ${hex(folios.firstPfn)} to ${hex(folios.firstPfn + folios.nrFrames - 1)}.`);
    return pfn;
  }
  /** Where code is: *ADDRESS, a number, SYMBOL, SYMBOL+OFFSET, FILE:LINE. @param others what else the word could have meant, for near misses @throws UserError */
  codeAddresses(word: string, others: readonly string[] = []): number[] {
    const { code } = this.around();
    const line = /^([^*]+):(\d+)$/.exec(word);
    if (line !== null) {
      const found = code.addressesOf(line[1]!, Number(line[2]));
      if (found.length > 0) return found;
      throw new UserError(`${word}: no code of such a line. ${code.hasLines ? 'Write FILE:LINE of a line that has code, as list shows them.' : 'The program has no line table: compile it with -g.'}`);
    }
    const plus = /^([A-Za-z_.$][\w.$]*)\+(0x[\da-f]+|\d+)$/i.exec(word);
    if (plus !== null) {
      const symbol = code.addressOf(plus[1]!);
      if (symbol !== null) return [symbol + Number(plus[2])];
    }
    const entries = code.entriesOf(word);
    if (entries.length > 0) return entries;
    if (/^[*$]|^[\d(]/.test(word)) return [this.number(word.replace(/^\*/, ''), 'address')];
    const near = didYouMean(word, [...code.names, ...others]);
    throw new UserError(`${word}: neither an address, a symbol, FILE:LINE nor a tracepoint.${near}${near === '' && code.names.length === 0 ? ' The program is stripped: write an address, as in *0x10400.' : ''}`);
  }
}
