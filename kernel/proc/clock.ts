// The modelled clock as the kernel's calls show it. One cycle is one nanosecond: a core of 1 GHz. Whole nanoseconds stay exact in a double for
// a hundred days of modelled time.

export const NS_PER_SECOND = 1_000_000_000;
/** USER_HZ: the unit of times(2) and of /proc/PID/stat. */
export const TICKS_PER_SECOND = 100;

export const cyclesOfNs = (ns: number): number => Math.ceil(ns);
export const nsOfCycles = (cycles: number): number => Math.floor(cycles);
export const ticksOfCycles = (cycles: number): number => Math.floor(cycles / (NS_PER_SECOND / TICKS_PER_SECOND));
