// The MMU as a whole: closed forms of miss counts, fences, stale A bits.
import { describe, expect, test } from 'vitest';
import { highHalf, lowHalf } from '#base';
import { Access, presetNamed } from '#mmu';
import { rigWith } from '../support/mmu-rig.ts';

describe('a default hierarchy', () => {
  test('a first touch walks three levels, a second one hits, and both agree with memory', () => {
    const rig = rigWith(presetNamed('skylake'));
    rig.map(0x10000, 0x80100000);
    expect(rig.access(0x10abc)).toBe(0x80100abc);
    expect(rig.access(0x10abc)).toBe(0x80100abc);
    expect(rig.access(0x10008, Access.Store)).toBe(0x80100008);
    const { l1d, l2, walks, ad } = rig.mmu.report();
    expect(l1d).toMatchObject({ lookups: 3, hits: 2, misses: 1 });
    expect(l2).toMatchObject({ lookups: 1, hits: 0, misses: 1 });
    expect(walks).toMatchObject({ count: 1, pteReads: 3 });
    expect(ad).toMatchObject({ accessed: 1, dirty: 1, assists: 1, assistPteReads: 3 });
    expect(rig.access(0x11000)).toBe(-13);
    expect(rig.access(0x11000, Access.Amo)).toBe(-15);
    rig.mmu.fence({ hi: highHalf(0x10000), lo: lowHalf(0x10000) }, null);
    expect(rig.access(0x10abc)).toBe(0x80100abc);
    expect(rig.mmu.report().walks.pteReads).toBe(3 + 1 + 1 + 1);
  });
});
