// Reading a program's memory without touching it: no fault, no A bit, no count. A page that is not mapped cannot be read.
import { asPfn, PAGE_SIZE } from '#base';
import type { Pfn } from '#base';
import { napotPfn, Pte, PteHigh, pteIsLeaf, ptePfn } from '#mmu';
import type { Session } from '../boot.ts';

const LEVELS = { 39: 3, 48: 4, 57: 5 } as const;

/** Bytes at `va` of the task on the hart; fewer where a page is not mapped; none when nothing is. */
export function peek(session: Session, va: number, lenBytes: number): Uint8Array {
  const bytes = new Uint8Array(Math.max(0, lenBytes));
  let at = 0;
  while (at < bytes.length) {
    const mm = session.kernel.current?.hasMm === true ? session.kernel.current.mm : null;
    const frame = mm === null ? null : frameOf(session.machine, mm.root, Math.floor((va + at) / PAGE_SIZE));
    if (frame === null) break;
    const offset = (va + at) % PAGE_SIZE;
    const n = Math.min(PAGE_SIZE - offset, bytes.length - at);
    session.machine.readFrame(asPfn(frame), offset, bytes.subarray(at, at + n));
    at += n;
  }
  return bytes.subarray(0, at);
}

/** Walks a page table as the hart would. @returns the frame of a page; null: it is not mapped */
export function frameOf(machine: Session['machine'], root: Pfn, vpn: number): number | null {
  if (vpn < 0) return null;
  let table = root;
  for (let level = LEVELS[machine.sv] - 1; level >= 0; level--) {
    const pages = 512 ** level;
    const index = Math.floor(vpn / pages) % 512;
    const low = machine.pteLow(table, index);
    if ((low & Pte.V) === 0) return null;
    const pfn = ptePfn(low);
    if (!pteIsLeaf(low)) {
      table = pfn;
      continue;
    }
    const isRun = (machine.pteHigh(table, index) & PteHigh.N) !== 0;
    return isRun ? napotPfn(low, vpn % 16) : pfn + (vpn % pages);
  }
  return null;
}

/** A NUL-terminated string; null: not mapped. `whole` is false where `maxBytes` or the mapped memory ended first. */
export function peekString(session: Session, va: number, maxBytes: number): { text: Uint8Array; whole: boolean } | null {
  const bytes = peek(session, va, maxBytes);
  if (bytes.length === 0) return null;
  const nul = bytes.indexOf(0);
  return nul < 0 ? { text: bytes, whole: false } : { text: bytes.subarray(0, nul), whole: true };
}

/** Bytes in strace's manner: printable ASCII as it is, the rest escaped. */
export function quoteBytes(bytes: Uint8Array): string {
  const escapes: Readonly<Record<number, string>> = { 9: '\\t', 10: '\\n', 11: '\\v', 12: '\\f', 13: '\\r', 34: '\\"', 92: '\\\\' };
  let text = '';
  bytes.forEach((byte, i) => {
    const next = bytes[i + 1] ?? 0;
    const digits = next >= 0x30 && next <= 0x37 ? byte.toString(8).padStart(3, '0') : byte.toString(8);
    text += escapes[byte] ?? (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\${digits}`);
  });
  return `"${text}"`;
}
