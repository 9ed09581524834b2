// fork's copy of an address space.
import { bug } from '#base';
import type { Mm } from './mm.ts';

/** dup_mm: null when memory runs out (everything taken so far is given back). */
export function dupMm(_parent: Mm): Mm | null { return bug('unwritten'); }
