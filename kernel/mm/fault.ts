// The page fault: the decision.
import { bug } from '#base';
import type { FaultCounts } from '../proc/task.ts';
import type { Mm } from './mm.ts';

export const FaultAccess = { Read: 0, Write: 1, Exec: 2 } as const;
export type FaultAccess = (typeof FaultAccess)[keyof typeof FaultAccess];

/** MapErr becomes SIGSEGV with SEGV_MAPERR, AccErr with SEGV_ACCERR, BusError SIGBUS with BUS_ADRERR. */
export const FaultResult = { Done: 0, MapErr: 1, AccErr: 2, BusError: 3, OutOfMemory: 4 } as const;
export type FaultResult = (typeof FaultResult)[keyof typeof FaultResult];

/** @param ip pc of the access, for tracepoints. */
export function handlePageFault(_mm: Mm, _counts: FaultCounts, _va: number, _access: FaultAccess, _from: 'user' | 'kernel', _ip: number): FaultResult {
  return bug('unwritten');
}
