// The page that the kernel gives every program (the vDSO): the code a signal handler returns to. Unwinders and debuggers know it by its bytes,
// li a7, 139; ecall (riscv-mmu.md section 10). It is a real page of a file, so that programs fetch from it, and its TLB misses count, as on Linux.
import { AddressSpace, type FileMapping } from '../mm/filemap.ts';
import type { MmSystem } from '../mm/system.ts';

/** Offset of __vdso_rt_sigreturn in the page. */
export const VDSO_SIGRETURN = 0x800;
export const VDSO_BYTES = 4096;

/** The page, made once at boot; null: there is no memory even for that. */
export function makeVdso(system: MmSystem): FileMapping | null {
  const page = new Uint8Array(VDSO_BYTES);
  const view = new DataView(page.buffer);
  view.setUint32(VDSO_SIGRETURN, 0x08b0_0893, true); // li a7, 139
  view.setUint32(VDSO_SIGRETURN + 4, 0x0000_0073, true); // ecall
  const space = new AddressSpace(system, 'file');
  if (space.write(0, page) !== page.length) return null;
  return { space, path: '[vdso]', ino: 0, devMajor: 0, devMinor: 0, mayWrite: false };
}
