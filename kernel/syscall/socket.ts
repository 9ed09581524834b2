// Sockets: AF_UNIX pairs work; every other family is one this kernel was built without (EAFNOSUPPORT), and names lead nowhere (ECONNREFUSED).
// Here: arguments. Not here: what a socket does (fs/socket.ts). Mirrors net/socket.c.
import { Open, OpenFile } from '../fs/file.ts';
import { FileType } from '../fs/inode.ts';
import { IoBuffer } from '../fs/io-buffer.ts';
import { Msg, Socket, SocketType } from '../fs/socket.ts';
import { Walk } from '../fs/walk.ts';
import { utf8Decode } from '#base';
import type { Kernel } from '../kernel.ts';
import type { Task } from '../proc/task.ts';
import { BLOCK } from '../proc/wait.ts';
import { installPair } from './descriptors.ts';
import { Errno } from './errno.ts';
import { MAX_IOVS, vector } from './io.ts';
import { breakPipe, fileAt, installFile, isUserRange } from './paths.ts';
import type { SyscallRow } from './row.ts';

const AF_UNIX = 1;
const SOCK_TYPE = 0xf;

/** The type of a socket of this family that can be made; -errno. */
function checkType(family: number, type: number, protocol: number): number {
  if ((type & ~(SOCK_TYPE | Open.CLOEXEC | Open.NONBLOCK)) !== 0) return -Errno.EINVAL;
  if (family < 0 || family > 45 || family !== AF_UNIX) return -Errno.EAFNOSUPPORT;
  if (protocol !== 0 && protocol !== AF_UNIX) return -Errno.EPROTONOSUPPORT;
  const kind = type & SOCK_TYPE;
  if ((type & SOCK_TYPE) > 10) return -Errno.EINVAL;
  return (Object.values(SocketType) as number[]).includes(kind) ? kind : -Errno.ESOCKTNOSUPPORT;
}
function makeFile(k: Kernel, ops: Socket, type: number): OpenFile | number {
  if (k.vfs.registry.isFull) return -Errno.ENFILE;
  return k.vfs.newFile(k.vfs.sockfs.fresh('socket', FileType.Socket | 0o777, k.current), ops, Open.RDWR | (type & Open.NONBLOCK));
}
function socket(k: Kernel, t: Task, [family, type, protocol]: readonly number[]): number {
  const kind = checkType(family! | 0, type! | 0, protocol! | 0);
  return kind < 0 ? kind : installFile(t, makeFile(k, new Socket(k.system, kind), type! | 0), (type! & Open.CLOEXEC) !== 0);
}
function socketpair(k: Kernel, t: Task, [family, type, protocol, at]: readonly number[]): number {
  const kind = checkType(family! | 0, type! | 0, protocol! | 0);
  if (kind < 0) return kind;
  const [a, b] = Socket.pair(k.system, kind);
  const first = makeFile(k, a, type! | 0);
  if (typeof first === 'number') return first;
  const second = makeFile(k, b, type! | 0);
  if (typeof second === 'number') {
    first.unref();
    return second;
  }
  return installPair(t, [first, second], at!, (type! & Open.CLOEXEC) !== 0);
}

/** The socket behind a descriptor: EBADF, ENOTSOCK. */
function socketAt(t: Task, fd: number): { file: OpenFile; ops: Socket } | number {
  const file = fileAt(t, fd);
  if (file === null) return -Errno.EBADF;
  return file.ops instanceof Socket ? { file, ops: file.ops } : -Errno.ENOTSOCK;
}
/** A call on a socket that has nothing to do but be refused. */
const refused = (error: number) => (_k: Kernel, t: Task, [fd]: readonly number[]): number => {
  const found = socketAt(t, fd!);
  return typeof found === 'number' ? found : -error;
};

/** To a name nobody listens at: the errno tells whether the name is there. */
function connect(k: Kernel, t: Task, [fd, at, len]: readonly number[]): number {
  const found = socketAt(t, fd!);
  if (typeof found === 'number') return found;
  const size = len! | 0;
  if (size < 2 || size > 110) return -Errno.EINVAL;
  const bytes = new Uint8Array(size);
  if (!t.user.read(at!, bytes)) return -Errno.EFAULT;
  if ((bytes[0]! | (bytes[1]! << 8)) !== AF_UNIX) return -Errno.EINVAL;
  if (found.ops.isConnected) return -Errno.EISCONN;
  if (size === 2) return -Errno.EINVAL;
  if (bytes[2] === 0) return -Errno.ECONNREFUSED; // the abstract name space
  const end = bytes.indexOf(0, 2);
  const path = utf8Decode(bytes, 2, end < 0 ? size : end);
  const place = new Walk(k.vfs.asker(t)).to(t.fs.cwd, path, true);
  return typeof place === 'number' ? place : -Errno.ECONNREFUSED;
}

/** send in its forms: as write(2), with flags. */
function send(k: Kernel, t: Task, fd: number, io: IoBuffer | number, flags: number): number {
  const found = socketAt(t, fd);
  if (typeof found === 'number') return found;
  if (typeof io === 'number') return io;
  if ((flags & Msg.Oob) !== 0) return -Errno.EOPNOTSUPP;
  const { file } = found;
  const isNow = (flags & Msg.DontWait) !== 0;
  const n = isNow ? file.writeAt(t, io, 0) : file.write(t, io);
  if (io.brokenPipe && (flags & Msg.NoSignal) === 0) breakPipe(k, t);
  return n;
}
function receive(t: Task, fd: number, io: IoBuffer | number, flags: number, noteCut: (isCut: boolean) => boolean): number {
  const found = socketAt(t, fd);
  if (typeof found === 'number') return found;
  if (typeof io === 'number') return io;
  if ((flags & Msg.Oob) !== 0) return -Errno.EOPNOTSUPP;
  const { file, ops } = found;
  // MSG_WAITALL: earlier runs have delivered what they got.
  const before = t.restart?.received ?? 0;
  io.skip(before);
  const { n, isCut } = ops.receive(io, flags);
  const done = before + Math.max(0, n);
  const wantsAll = (flags & Msg.WaitAll) !== 0 && (flags & Msg.Peek) === 0 && ops.type === SocketType.Stream;
  const mayWait = !file.nonBlocking && (flags & Msg.DontWait) === 0;
  const isShort = n === -Errno.EAGAIN || (wantsAll && n > 0 && io.left > 0);
  if (isShort && mayWait && (done === 0 || wantsAll) && !(done > 0 && t.signalPending)) {
    t.restart = { received: done };
    t.sleepOn([ops.queue]);
    return BLOCK;
  }
  if (done === 0 && n < 0) return n;
  return noteCut(isCut) ? done : -Errno.EFAULT;
}

const one = (t: Task, base: number, len: number): IoBuffer | number =>
  (len >= 0 && isUserRange(t, base, len) ? IoBuffer.user(t.user, [{ base, len: Math.min(len, 0x7fff_f000) }]) : -Errno.EFAULT);

function sendto(k: Kernel, t: Task, [fd, base, len, flags, addr]: readonly number[]): number {
  const found = socketAt(t, fd!);
  if (typeof found !== 'number' && addr !== 0) return found.ops.isConnected ? -Errno.EISCONN : -Errno.ECONNREFUSED;
  return send(k, t, fd!, one(t, base!, len!), flags! | 0);
}
/** Peers of a pair have no name: an address asked for has length 0. */
function recvfrom(_k: Kernel, t: Task, [fd, base, len, flags, , lenAt]: readonly number[]): number {
  return receive(t, fd!, one(t, base!, len!), flags! | 0, () => lenAt === 0 || t.user.setU32(lenAt!, 0));
}

const MSGHDR_BYTES = 56;
interface Message { io: IoBuffer; name: number; nameLen: number; controlLen: number }
/** struct msghdr: name 0, namelen 8, iov 16, iovlen 24, control 32, controllen 40, flags 48. */
function readMessage(t: Task, at: number): Message | number {
  const bytes = new Uint8Array(MSGHDR_BYTES);
  if (!t.user.read(at, bytes)) return -Errno.EFAULT;
  const view = new DataView(bytes.buffer);
  const word = (offset: number): number => Number(view.getBigInt64(offset, true));
  if (word(24) < 0 || word(24) > MAX_IOVS) return -Errno.EMSGSIZE;
  const io = vector(t, word(16), word(24));
  if (typeof io === 'number') return io;
  return { io, name: word(0), nameLen: view.getInt32(8, true), controlLen: word(40) };
}
function sendmsg(k: Kernel, t: Task, [fd, at, flags]: readonly number[]): number {
  const message = readMessage(t, at!);
  if (typeof message === 'number') return message;
  if (message.controlLen > 0) return -Errno.EOPNOTSUPP; // descriptors and credentials do not travel here
  const found = socketAt(t, fd!);
  if (typeof found !== 'number' && message.name !== 0 && message.nameLen > 0) return found.ops.isConnected ? -Errno.EISCONN : -Errno.ECONNREFUSED;
  return send(k, t, fd!, message.io, flags! | 0);
}
function recvmsg(_k: Kernel, t: Task, [fd, at, flags]: readonly number[]): number {
  const message = readMessage(t, at!);
  if (typeof message === 'number') return message;
  return receive(t, fd!, message.io, flags! | 0, (isCut) => t.user.setU32(at! + 8, 0) && t.user.setU64(at! + 40, 0) && t.user.setU32(at! + 48, isCut ? Msg.Trunc : 0));
}

function shutdown(_k: Kernel, t: Task, [fd, how]: readonly number[]): number {
  const found = socketAt(t, fd!);
  return typeof found === 'number' ? found : found.ops.shutdown(how! | 0);
}
/** The names of both ends of a pair: the family alone. */
function nameOf(needsPeer: boolean) {
  return (_k: Kernel, t: Task, [fd, at, lenAt]: readonly number[]): number => {
    const found = socketAt(t, fd!);
    if (typeof found === 'number') return found;
    if (needsPeer && !found.ops.isConnected) return -Errno.ENOTCONN;
    const room = t.user.i32(lenAt!);
    if (room === null) return -Errno.EFAULT;
    if (room < 0) return -Errno.EINVAL;
    const family = new Uint8Array([AF_UNIX, 0]).subarray(0, Math.min(2, room));
    return t.user.write(at!, family) && t.user.setU32(lenAt!, 2) ? 0 : -Errno.EFAULT;
  };
}
const SOL_SOCKET = 1;
const So = { Type: 3, Error: 4, SndBuf: 7, RcvBuf: 8, AcceptConn: 30, Protocol: 38, Domain: 39 } as const;
const BUFFER_BYTES = 212992;
function getsockopt(_k: Kernel, t: Task, [fd, level, option, at, lenAt]: readonly number[]): number {
  const found = socketAt(t, fd!);
  if (typeof found === 'number') return found;
  if (level !== SOL_SOCKET) return -Errno.EOPNOTSUPP;
  const values: Readonly<Record<number, number>> = {
    [So.Type]: found.ops.type, [So.Error]: 0, [So.SndBuf]: BUFFER_BYTES, [So.RcvBuf]: BUFFER_BYTES, [So.AcceptConn]: 0, [So.Protocol]: 0, [So.Domain]: AF_UNIX,
  };
  const value = values[option!];
  if (value === undefined) return -Errno.ENOPROTOOPT;
  const room = t.user.i32(lenAt!);
  if (room === null) return -Errno.EFAULT;
  if (room < 0) return -Errno.EINVAL;
  const bytes = new Uint8Array(new Int32Array([value]).buffer).subarray(0, Math.min(4, room));
  return t.user.write(at!, bytes) && t.user.setU32(lenAt!, bytes.length) ? 0 : -Errno.EFAULT;
}

export const socketSyscalls: readonly SyscallRow[] = [
  { nr: 198, name: 'socket', args: 'int flags int', run: socket },
  { nr: 199, name: 'socketpair', args: 'int flags int ptr', run: socketpair },
  { nr: 200, name: 'bind', args: 'fd ptr int', run: refused(Errno.EOPNOTSUPP) },
  { nr: 201, name: 'listen', args: 'fd int', run: refused(Errno.EOPNOTSUPP) },
  { nr: 202, name: 'accept', args: 'fd ptr ptr', run: refused(Errno.EINVAL) },
  { nr: 203, name: 'connect', args: 'fd ptr int', run: connect },
  { nr: 204, name: 'getsockname', args: 'fd ptr ptr', run: nameOf(false) },
  { nr: 205, name: 'getpeername', args: 'fd ptr ptr', run: nameOf(true) },
  { nr: 206, name: 'sendto', args: 'fd buf len flags ptr int', run: sendto },
  { nr: 207, name: 'recvfrom', args: 'fd buf len flags ptr ptr', run: recvfrom },
  { nr: 208, name: 'setsockopt', args: 'fd int int ptr int', run: refused(Errno.ENOPROTOOPT) },
  { nr: 209, name: 'getsockopt', args: 'fd int int ptr ptr', run: getsockopt },
  { nr: 210, name: 'shutdown', args: 'fd int', run: shutdown },
  { nr: 211, name: 'sendmsg', args: 'fd ptr flags', run: sendmsg },
  { nr: 212, name: 'recvmsg', args: 'fd ptr flags', run: recvmsg },
  { nr: 242, name: 'accept4', args: 'fd ptr ptr flags', run: refused(Errno.EINVAL) },
];
