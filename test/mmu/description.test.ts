// TLB descriptions: presets are well-formed, and each mistake in a user's file gets its sentence.
import { describe, expect, test } from 'vitest';
import { UserError } from '#base';
import { DEFAULT_PRESET, mmuBytes, parseTlbDescription, presetNamed, presets, withCoalescing } from '#mmu';
import { rigWith } from '../support/mmu-rig.ts';

/** A correct description, to be spoilt. */
const good = () => ({
  name: 'mine', l1i: { arrays: [{ entries: 8, ways: 8, pageSizes: ['4K'], replacement: 'lru' }], hitCycles: 0 },
  l1d: { arrays: [{ entries: 8, ways: 2, pageSizes: ['4K', '2M'], replacement: 'plru' }] },
  l2: { arrays: [{ entries: 32, ways: 4, pageSizes: ['4K'], coalescing: 'zen', adRule: 'd-split' }], hitCycles: 7 },
  inclusion: 'inclusive', pwc: { 1: 16 }, walkCycles: 3, pteReadCycles: 9,
});
const sentence = (json: unknown): string => {
  try {
    parseTlbDescription(json);
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
  return 'accepted';
};
/** The correct description with one field of the first L1 D array set. */
const spoilt = (field: object): string => {
  const d = good();
  return sentence({ ...d, l1d: { arrays: [{ ...d.l1d.arrays[0], ...field }] } });
};

describe('a description that a user wrote', () => {
  test('is taken as it stands, as text or as JSON', () => {
    expect(parseTlbDescription(good())).toMatchObject({ name: 'mine', inclusion: 'inclusive', pwc: { 1: 16 }, l2: { hitCycles: 7 } });
    expect(parseTlbDescription(JSON.stringify(good()))).toEqual(parseTlbDescription(good()));
    expect(() => rigWith(parseTlbDescription(good()))).not.toThrow();
  });

  test.each([
    [{ entries: 9, ways: 2 }, '9 entries are not a multiple of 2 ways'],
    [{ entries: 24, ways: 2 }, '12 sets, which is not a power of two'],
    [{ entries: 24, ways: 6, replacement: 'plru' }, 'tree-PLRU needs a power of two of ways, not 6'],
    [{ entries: 1e6, ways: 1 }, 'l1d.arrays[0].entries is 1000000; it must be a whole number from 1 to 65536'],
    [{ entries: -4 }, 'it must be a whole number from 1'],
    [{ entries: '64' }, 'entries is "64"'],
    [{ ways: 0 }, 'l1d.arrays[0].ways is 0'],
    [{ ways: 16 }, 'ways is 16; it must be a whole number from 1 to 8'],
    [{ pageSizes: ['8K'] }, 'pageSizes[0] is "8K"; it must be one of 4K, 16K'],
    [{ pageSizes: ['4K', '4K'] }, 'names a size twice'],
    [{ pageSizes: [] }, 'pageSizes is []'],
    [{ pageSizes: ['2M'] }, 'no array holds 4K pages'],
    [{ pageSizes: ['4K', '16K'] }, 'RISC-V has no 16K pages'],
    [{ pageSizes: ['4K', '64K'], svnapot: false }, 'svnapot is false'],
    [{ replacement: 'mru' }, 'replacement is "mru"; it must be one of lru, plru, fifo, random'],
    [{ coalescing: 'colt' }, 'must be one of none, svnapot'],
    [{ adRule: 'lax' }, 'must be one of strict'],
    [{ size: 4 }, 'has a field "size", which means nothing'],
  ])('%j: %s', (field, expected) => {
    expect(spoilt(field)).toContain(expected);
  });

  test.each([
    [null, 'the description is null; it must be an object'],
    [[], 'must be an object'],
    ['{"name": ', 'not JSON'],
    [{ ...good(), l1i: undefined }, 'l1i is missing; it must be an object'],
    [{ ...good(), inclusion: 'both' }, 'inclusion is "both"'],
    [{ ...good(), pwc: { 5: 1 } }, 'pwc has a field "5"'],
    [{ ...good(), pwc: { 1: 1e9 } }, 'whole number from 0 to 4096'],
    [{ ...good(), walkCycles: -1 }, 'walkCycles is -1'],
    [{ ...good(), l2: { arrays: [] } }, 'l2.arrays is []'],
    [{ ...good(), l1d: { arrays: [good().l1d.arrays[0], good().l1d.arrays[0]] } }, 'arrays 0 and 1 both hold 4K'],
  ])('%j: %s', (json, expected) => {
    expect(sentence(json)).toContain(expected);
  });
});

describe('presets', () => {
  test.each(presets().map((p) => [p.name, p] as const))('%s passes the same checks as a user\'s file, says where its figures are from, and runs', (_, preset) => {
    expect(parseTlbDescription(JSON.parse(JSON.stringify(preset)))).toMatchObject({ name: preset.name, inclusion: preset.inclusion });
    expect(preset.source).toMatch(/[Aa]ssumed|No core/);
    const rig = rigWith(preset);
    // RAM came first: what the arena handed out after it is the MMU's.
    expect(rig.ram.arena.usedBytes - rig.ram.hostBase - rig.ram.nrFrames * 4096).toBeLessThanOrEqual(mmuBytes(preset));
    rig.map(0x10000, 0x80100000, 0x1f, 4);
    for (let i = 0; i < 16; i++) expect(rig.access(0x10000 + i * 4096)).toBe(0x80100000 + i * 4096);
  });

  test('have different names, and the default is among them', () => {
    expect(new Set(presets().map((p) => p.name)).size).toBe(presets().length);
    expect(presetNamed(DEFAULT_PRESET).name).toBe(DEFAULT_PRESET);
  });

  test('an unknown name is answered with near ones, or with all', () => {
    expect(() => presetNamed('zen')).toThrow(/Did you mean .*zen2/);
    expect(() => presetNamed('skylaek')).toThrow(/Did you mean skylake\?/);
    expect(() => presetNamed('pentium')).toThrow(/There are generic,/);
  });

  test('withCoalescing changes the model where 4K pages are, and nothing else', () => {
    const d = withCoalescing(presetNamed('skylake'), 'zen', 'd-split');
    expect(d.l1d.arrays.map((a) => a.coalescing)).toEqual(['zen', undefined, undefined]);
    expect(d.l2!.arrays[0]).toMatchObject({ entries: 1536, ways: 12, coalescing: 'zen', adRule: 'd-split' });
    expect(() => parseTlbDescription(d)).not.toThrow();
  });
});
