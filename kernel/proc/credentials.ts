// Who a task is: user and group ids. The first program is root of its machine, as in a container.

export interface Credentials {
  uid: number;
  euid: number;
  suid: number;
  fsuid: number;
  gid: number;
  egid: number;
  sgid: number;
  fsgid: number;
  groups: readonly number[];
  /** CAP_IPC_LOCK was given up by capset(): root, but bound by RLIMIT_MEMLOCK. */
  lockLimited?: boolean;
}

export const rootCredentials = (): Credentials =>
  ({ uid: 0, euid: 0, suid: 0, fsuid: 0, gid: 0, egid: 0, sgid: 0, fsgid: 0, groups: [0] });

/** Effective root may do everything here: there are no finer capabilities. */
export const isPrivileged = (c: Credentials): boolean => c.euid === 0;
/** CAP_IPC_LOCK, the one capability that root can put down here: does RLIMIT_MEMLOCK not bind? */
export const mayLockAll = (c: Credentials): boolean => isPrivileged(c) && c.lockLimited !== true;
