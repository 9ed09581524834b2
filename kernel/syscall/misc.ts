// The rest: names, numbers and facts about the machine.
import { utf8Decode, utf8Encode } from '#base';
import type { Kernel } from '../kernel.ts';
import { isPrivileged } from '../proc/credentials.ts';
import { NS_PER_SECOND } from '../proc/clock.ts';
import type { Task } from '../proc/task.ts';
import { Errno } from './errno.ts';
import type { SyscallHandler, SyscallRow } from './row.ts';

// --- uname, sysinfo ---

export const UTS = { sysname: 'Linux', release: '6.18.0-quire', version: '#1 SMP Quire', machine: 'riscv64' } as const;
const UTS_FIELD = 65;
function uname(k: Kernel, t: Task, [at]: readonly number[]): number {
  const bytes = new Uint8Array(6 * UTS_FIELD);
  const fields = [UTS.sysname, k.hostname, UTS.release, UTS.version, UTS.machine, k.domainname];
  fields.forEach((field, i) => bytes.set(utf8Encode(field).subarray(0, UTS_FIELD - 1), i * UTS_FIELD));
  return t.user.write(at!, bytes) ? 0 : -Errno.EFAULT;
}
function setName(set: (k: Kernel, name: string) => void): SyscallHandler {
  return (k, t, [at, len]) => {
    if (!isPrivileged(t.credentials)) return -Errno.EPERM;
    if (len! < 0 || len! > 64) return -Errno.EINVAL;
    const bytes = new Uint8Array(len!);
    if (!t.user.read(at!, bytes)) return -Errno.EFAULT;
    set(k, utf8Decode(bytes));
    return 0;
  };
}

function sysinfo(k: Kernel, t: Task, [at]: readonly number[]): number {
  const bytes = new Uint8Array(112);
  const view = new DataView(bytes.buffer);
  const word = (offset: number, n: number): void => view.setBigUint64(offset, BigInt(Math.floor(n)), true);
  word(0, k.uptimeNs() / NS_PER_SECOND);
  k.load.words().forEach((load, i) => word(8 + 8 * i, load));
  word(32, k.system.memTotalBytes);
  word(40, k.system.buddy.freePages * 4096);
  word(64, k.system.swap.totalPages * 4096);
  word(72, k.system.swap.freePages * 4096);
  view.setUint16(80, Math.min(k.tasks.size, 0xffff), true); // shared, buffers and high memory stay 0
  view.setUint32(104, 1, true); // mem_unit
  return t.user.write(at!, bytes) ? 0 : -Errno.EFAULT;
}

// --- Randomness: the machine's own seeded generator, never short of entropy ---

const GRND_ALL = 0x7;
const MAX_RANDOM = 0x7fff_ffff;
const RANDOM_CHUNK = 65536;
function getrandom(k: Kernel, t: Task, [at, len, flags]: readonly number[]): number {
  if ((flags! & ~GRND_ALL) !== 0 || (flags! & 6) === 6) return -Errno.EINVAL;
  const wanted = len! < 0 ? MAX_RANDOM : Math.min(len!, MAX_RANDOM);
  let done = 0;
  while (done < wanted) {
    const bytes = new Uint8Array(Math.min(RANDOM_CHUNK, wanted - done));
    for (let i = 0; i < bytes.length; i += 4) {
      const word = k.random.next32();
      for (let j = i; j < Math.min(i + 4, bytes.length); j++) bytes[j] = (word >>> (8 * (j - i))) & 0xff;
    }
    const n = t.user.writePrefix(at! + done, bytes);
    done += n;
    if (n < bytes.length) return done === 0 ? -Errno.EFAULT : done;
  }
  return done;
}

// --- riscv_hwprobe: what the hart can do, by key (Documentation/arch/riscv/hwprobe.rst) ---

const HWPROBE_WHICH_CPUS = 1;
const Ima = { FD: 1n << 0n, C: 1n << 1n, ZBA: 1n << 3n, ZBB: 1n << 4n, ZBS: 1n << 5n, ZICOND: 1n << 35n } as const;
function hwprobeValue(k: Kernel, key: number): bigint | null {
  switch (key) {
    case 0: // MVENDORID, MARCHID, MIMPID: no vendor
    case 1:
    case 2:
      return 0n;
    case 3: // BASE_BEHAVIOR: IMA
      return 1n;
    case 4: // IMA_EXT_0
      return Ima.FD | Ima.C | Ima.ZBA | Ima.ZBB | Ima.ZBS | Ima.ZICOND;
    case 5: // CPUPERF_0 and MISALIGNED_SCALAR_PERF: fast, that is, without a trap
    case 9:
      return 3n;
    case 6: // ZICBOZ_BLOCK_SIZE: there is no cbo.zero
      return 0n;
    case 7: // HIGHEST_VIRT_ADDRESS
      return BigInt(k.taskSize) - 1n;
    case 8: // TIME_CSR_FREQ
      return k.machine.timebaseHz === undefined ? null : BigInt(k.machine.timebaseHz);
    case 10: // MISALIGNED_VECTOR_PERF: unsupported
      return 4n;
    default:
      return null;
  }
}
const MAX_PROBES = 4096;
function riscvHwprobe(k: Kernel, t: Task, [pairsAt, count, setSize, cpusAt, flags]: readonly number[]): number {
  if (count! < 0 || count! > MAX_PROBES) return -Errno.EINVAL;
  if (flags === HWPROBE_WHICH_CPUS) return whichCpus(k, t, pairsAt!, count!, setSize!, cpusAt!);
  if (flags !== 0) return -Errno.EINVAL;
  if ((setSize === 0) !== (cpusAt === 0)) return -Errno.EINVAL;
  if (setSize !== 0) {
    const cpus = t.user.u8(cpusAt!);
    if (cpus === null) return -Errno.EFAULT;
    if ((cpus & 1) === 0) return -Errno.EINVAL;
  }
  for (let i = 0; i < count!; i++) {
    const at = pairsAt! + 16 * i;
    const key = t.user.i64(at);
    if (key === null) return -Errno.EFAULT;
    const value = key < 0n || key > 1000n ? null : hwprobeValue(k, Number(key));
    if (value === null && !t.user.setU64(at, -1)) return -Errno.EFAULT;
    if (!t.user.setU64(at + 8, value ?? 0n)) return -Errno.EFAULT;
  }
  return 0;
}
/** Which harts have all these values: hart 0 or none. */
function whichCpus(k: Kernel, t: Task, pairsAt: number, count: number, setSize: number, cpusAt: number): number {
  if (setSize <= 0 || cpusAt === 0) return -Errno.EINVAL;
  let all = true;
  for (let i = 0; i < count; i++) {
    const key = t.user.i64(pairsAt + 16 * i);
    const wanted = t.user.u64(pairsAt + 16 * i + 8);
    if (key === null || wanted === null) return -Errno.EFAULT;
    const value = key < 0n || key > 1000n ? null : hwprobeValue(k, Number(key));
    if (value === null && !(t.user.setU64(pairsAt + 16 * i, -1) && t.user.setU64(pairsAt + 16 * i + 8, 0))) return -Errno.EFAULT;
    const isMask = key === 3n || key === 4n;
    all &&= value !== null && (isMask ? (value & wanted) === wanted : value === wanted);
  }
  const old = t.user.u8(cpusAt);
  if (old === null) return -Errno.EFAULT;
  return t.user.setU8(cpusAt, all && (old & 1) !== 0 ? 1 : 0) ? 0 : -Errno.EFAULT;
}

/** fence.i on every hart that runs this program. There is nothing to do: stores are visible to fetch at once. */
function flushIcache(_k: Kernel, _t: Task, [start, end, flags]: readonly number[]): number {
  if ((flags! & ~1) !== 0) return -Errno.EINVAL;
  return start! > end! ? -Errno.EINVAL : 0;
}

/** The kernel log's size, or nothing to read: messages go to the user, not to programs. */
function syslog(_k: Kernel, _t: Task, [type, , len]: readonly number[]): number {
  const SIZE_BUFFER = 10;
  if (type! < 0 || type! > SIZE_BUFFER) return -Errno.EINVAL;
  if (type === SIZE_BUFFER) return 1 << 17;
  return (type === 2 || type === 3 || type === 4) && len! < 0 ? -Errno.EINVAL : 0;
}

const refuse = (errno: number): SyscallHandler => () => -errno;

export const miscSyscalls: readonly SyscallRow[] = [
  { nr: 116, name: 'syslog', args: 'int ptr int', run: syslog },
  { nr: 117, name: 'ptrace', args: 'int pid ptr ptr', run: refuse(Errno.EPERM) },
  { nr: 142, name: 'reboot', args: 'hex hex hex ptr', run: refuse(Errno.EPERM) },
  { nr: 160, name: 'uname', args: 'ptr', run: uname },
  { nr: 161, name: 'sethostname', args: 'buf len', run: setName((k, name) => { k.hostname = name; }) },
  { nr: 162, name: 'setdomainname', args: 'buf len', run: setName((k, name) => { k.domainname = name; }) },
  { nr: 179, name: 'sysinfo', args: 'ptr', run: sysinfo },
  { nr: 258, name: 'riscv_hwprobe', args: 'ptr size size ptr hex', run: riscvHwprobe },
  { nr: 259, name: 'riscv_flush_icache', args: 'ptr ptr hex', run: flushIcache },
  { nr: 277, name: 'seccomp', args: 'int hex ptr', run: refuse(Errno.EINVAL) },
  { nr: 278, name: 'getrandom', args: 'ptr size hex', run: getrandom },
  // glibc asks for it at every start and lives without it: no warning.
  { nr: 293, name: 'rseq', args: 'ptr uint hex hex', run: refuse(Errno.ENOSYS) },
];
