// prctl(2): the options that programs of ours use or probe.
import { utf8Decode, utf8Encode } from '#base';
import type { Kernel } from '../kernel.ts';
import { isPrivileged } from '../proc/credentials.ts';
import { setAnonName } from '../mm/anon-name.ts';
import { Mdwe } from '../mm/mman.ts';
import { isSignal } from '../proc/sigset.ts';
import type { Task } from '../proc/task.ts';
import { Errno } from './errno.ts';
import type { SyscallRow } from './row.ts';

const Pr = {
  SetPdeathsig: 1, GetPdeathsig: 2, GetDumpable: 3, SetDumpable: 4, GetKeepcaps: 7, SetKeepcaps: 8, SetName: 15, GetName: 16, GetSeccomp: 21, CapbsetRead: 23,
  CapbsetDrop: 24, GetSecurebits: 27, SetTimerslack: 29, GetTimerslack: 30, SetChildSubreaper: 36, GetChildSubreaper: 37, SetNoNewPrivs: 38,
  GetNoNewPrivs: 39, GetTidAddress: 40, SetThpDisable: 41, GetThpDisable: 42, CapAmbient: 47, SetMdwe: 65, GetMdwe: 66, SetVma: 0x5356_4d41,
} as const;
const LAST_CAP = 40;
const SET_VMA_ANON_NAME = 0;
/** PR_THP_DISABLE_EXCEPT_ADVISED (6.18): MADV_HUGEPAGE and MADV_COLLAPSE still work. */
const THP_EXCEPT_ADVISED = 2;
const DEFAULT_TIMERSLACK_NS = 50_000;

/** PR_SET_NAME's name: cut at 15 bytes. */
function readName(t: Task, at: number): string | null {
  const bytes = new Uint8Array(15);
  const n = t.user.readPrefix(at, bytes);
  const end = bytes.subarray(0, n).indexOf(0);
  return end < 0 && n < bytes.length ? null : utf8Decode(bytes, 0, end < 0 ? n : end);
}

function prctl(_k: Kernel, t: Task, [option, a2, a3, a4, a5]: readonly number[]): number {
  const p = t.process;
  const noMore = a3 === 0 && a4 === 0 && a5 === 0;
  switch (option! | 0) {
    case Pr.SetPdeathsig:
      if (a2 !== 0 && !isSignal(a2!)) return -Errno.EINVAL;
      p.parentDeathSignal = a2!;
      return 0;
    case Pr.GetPdeathsig:
      return t.user.setU32(a2!, p.parentDeathSignal) ? 0 : -Errno.EFAULT;
    case Pr.GetDumpable:
      return p.dumpable;
    case Pr.SetDumpable:
      if (a2 !== 0 && a2 !== 1) return -Errno.EINVAL;
      p.dumpable = a2;
      return 0;
    case Pr.SetName: {
      const name = readName(t, a2!);
      if (name === null) return -Errno.EFAULT;
      t.comm = name;
      return 0;
    }
    case Pr.GetName: {
      const bytes = new Uint8Array(16);
      bytes.set(utf8Encode(t.comm).subarray(0, 15));
      return t.user.write(a2!, bytes) ? 0 : -Errno.EFAULT;
    }
    case Pr.GetKeepcaps:
    case Pr.GetSecurebits:
    case Pr.GetSeccomp:
      return 0;
    case Pr.SetKeepcaps:
      return a2 === 0 || a2 === 1 ? 0 : -Errno.EINVAL;
    case Pr.CapbsetRead:
      return a2! < 0 || a2! > LAST_CAP ? -Errno.EINVAL : Number(isPrivileged(t.credentials));
    case Pr.CapbsetDrop:
      return a2! < 0 || a2! > LAST_CAP ? -Errno.EINVAL : -Errno.EPERM;
    case Pr.CapAmbient:
      return a2 === 1 && a3! <= LAST_CAP ? 0 : a2 === 4 ? 0 : -Errno.EINVAL; // PR_CAP_AMBIENT_IS_SET, CLEAR_ALL
    case Pr.SetTimerslack:
      t.timerSlackNs = a2! <= 0 ? DEFAULT_TIMERSLACK_NS : a2!;
      return 0;
    case Pr.GetTimerslack:
      return t.timerSlackNs;
    case Pr.SetChildSubreaper:
      p.isSubreaper = a2 !== 0;
      return 0;
    case Pr.GetChildSubreaper:
      return t.user.setU32(a2!, p.isSubreaper ? 1 : 0) ? 0 : -Errno.EFAULT;
    case Pr.SetNoNewPrivs:
      if (a2 !== 1 || !noMore) return -Errno.EINVAL;
      p.noNewPrivs = true;
      return 0;
    case Pr.GetNoNewPrivs:
      return a2 === 0 && noMore ? Number(p.noNewPrivs) : -Errno.EINVAL;
    case Pr.GetTidAddress:
      return t.user.setU64(a2!, t.clearChildTid) ? 0 : -Errno.EFAULT;
    case Pr.SetThpDisable:
      if (a4 !== 0 || a5 !== 0 || (a3! & ~THP_EXCEPT_ADVISED) !== 0 || a3! < 0 || a3! >= 2 ** 32 || (a2 === 0 && a3 !== 0)) return -Errno.EINVAL;
      t.mm.thpDisabled = a2 !== 0 && a3 === 0;
      t.mm.thpExceptAdvised = a2 !== 0 && a3 !== 0;
      return 0;
    case Pr.GetThpDisable:
      if (a2 !== 0 || !noMore) return -Errno.EINVAL;
      return t.mm.thpExceptAdvised ? 1 | THP_EXCEPT_ADVISED : Number(t.mm.thpDisabled);
    case Pr.SetMdwe:
      return noMore ? setMdwe(t, a2!) : -Errno.EINVAL;
    case Pr.GetMdwe:
      return a2 === 0 && noMore ? t.mm.mdwe : -Errno.EINVAL;
    case Pr.SetVma:
      return a2 === SET_VMA_ANON_NAME ? setVmaName(t, a3!, a4!, a5!) : -Errno.EINVAL;
    default:
      return -Errno.EINVAL;
  }
}

/** What was set once stays. */
function setMdwe({ mm }: Task, bits: number): number {
  if (bits !== 0 && bits !== Mdwe.RefuseExecGain && bits !== (Mdwe.RefuseExecGain | Mdwe.NoInherit)) return -Errno.EINVAL;
  if (mm.mdwe !== 0 && mm.mdwe !== bits) return -Errno.EPERM;
  mm.mdwe = bits;
  return 0;
}

/** PR_SET_VMA_ANON_NAME: printable, at most 79 bytes, without what maps gives a meaning. */
function setVmaName(t: Task, start: number, len: number, nameAt: number): number {
  const name = nameAt === 0 ? null : t.user.cstring(nameAt, 80);
  if (nameAt !== 0 && name === null) return t.user.u8(nameAt) === null ? -Errno.EFAULT : -Errno.EINVAL;
  if (name !== null && (!/^[\x20-\x7e]*$/.test(name) || /[\\`$[\]]/.test(name))) return -Errno.EINVAL;
  return len === 0 && start % 4096 === 0 ? 0 : setAnonName(t.mm, start, len, name);
}

export const prctlSyscalls: readonly SyscallRow[] = [{ nr: 167, name: 'prctl', args: 'prctl ptr ptr ptr ptr', run: prctl }];
