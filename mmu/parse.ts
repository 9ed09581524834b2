// A user's TLB description, checked: every wrong field gets one sentence that names it and says what would do.
import { UserError, isPowerOfTwo } from '#base';
import { ORDER_OF_SIZE, honoursNapot } from './description.ts';
import type { AdRule, CoalescingName, PageSizeName, ReplacementName, TlbArrayDescription, TlbDescription, TlbLevelDescription } from './description.ts';

/** More than any core has; keeps a slip of the keyboard from taking gigabytes. */
const MAX_ENTRIES = 65536;
const MAX_ARRAYS = 8;
const MAX_POINTERS = 4096;
const MAX_CYCLES = 1_000_000;
const SIZES = Object.keys(ORDER_OF_SIZE) as readonly PageSizeName[];
const REPLACEMENTS: readonly ReplacementName[] = ['lru', 'plru', 'fifo', 'random'];
const COALESCING: readonly CoalescingName[] = ['none', 'svnapot', 'zen', 'colt-sa', 'colt-fa', 'clustered'];
const AD_RULES: readonly AdRule[] = ['strict', 'loose-a', 'd-split', 'd-evict'];
const INCLUSIONS = ['inclusive', 'exclusive', 'neither'] as const;

/** @param json a file's text, or what JSON.parse gave of it. @param where what the sentences begin with: '--tlb my.json'
 *  @throws UserError naming the first field that is wrong */
export function parseTlbDescription(json: unknown, where = 'TLB description'): TlbDescription {
  try {
    return topOf(typeof json === 'string' ? JSON.parse(json) : json);
  } catch (error) {
    if (error instanceof UserError) throw new UserError(`${where}: ${error.message}`);
    if (error instanceof SyntaxError) throw new UserError(`${where}: not JSON: ${error.message}.`);
    throw error;
  }
}

function topOf(json: unknown): TlbDescription {
  const top = fieldsOf(json, 'the description',
    ['name', 'source', 'l1i', 'l1d', 'l2', 'l2i', 'inclusion', 'pwc', 'pageFenceDropsPwc', 'walkCycles', 'pteReadCycles']);
  const pageFenceDropsPwc = optionalBoolean(top['pageFenceDropsPwc'], 'pageFenceDropsPwc');
  return {
    name: textOf(top['name'], 'name', 'custom'),
    source: textOf(top['source'], 'source', 'user'),
    l1i: levelOf(top['l1i'], 'l1i'),
    l1d: levelOf(top['l1d'], 'l1d'),
    l2: top['l2'] === undefined || top['l2'] === null ? null : levelOf(top['l2'], 'l2'),
    ...(top['l2i'] === undefined ? {} : { l2i: top['l2i'] === null ? null : levelOf(top['l2i'], 'l2i') }),
    inclusion: oneOf(top['inclusion'] ?? 'neither', 'inclusion', INCLUSIONS),
    pwc: pwcOf(top['pwc']),
    ...(pageFenceDropsPwc === undefined ? {} : { pageFenceDropsPwc }),
    walkCycles: cyclesOf(top['walkCycles'], 'walkCycles'),
    pteReadCycles: cyclesOf(top['pteReadCycles'], 'pteReadCycles'),
  };
}

function levelOf(json: unknown, where: string): TlbLevelDescription {
  const level = fieldsOf(json, where, ['arrays', 'hitCycles']);
  const list = level['arrays'];
  if (!Array.isArray(list) || list.length === 0 || list.length > MAX_ARRAYS) {
    fail(`${where}.arrays`, list, `a list of 1 to ${MAX_ARRAYS} arrays, as in [{"entries": 64, "ways": 4, "pageSizes": ["4K"], "replacement": "lru"}]`);
  }
  const arrays = (list as unknown[]).map((a, i) => arrayOf(a, `${where}.arrays[${i}]`));
  if (!arrays.some((a) => a.pageSizes.includes('4K'))) {
    throw new UserError(`${where}: no array holds 4K pages. Add "4K" to one array's pageSizes.`);
  }
  const holders = new Map<PageSizeName, number>();
  arrays.forEach((a, i) => {
    for (const size of new Set<PageSizeName>([...a.pageSizes, ...(honoursNapot(a) ? ['64K' as const] : [])])) {
      const other = holders.get(size);
      if (other !== undefined) {
        throw new UserError(`${where}: arrays ${other} and ${i} both hold ${size}. Each size belongs to one array of a level.`);
      }
      holders.set(size, i);
    }
  });
  if (arrays.filter((a) => a.coalescing === 'colt-fa').length > 1) {
    throw new UserError(`${where}: two arrays have coalescing "colt-fa". Only one can take the runs.`);
  }
  return { arrays, hitCycles: cyclesOf(level['hitCycles'], `${where}.hitCycles`) };
}

function arrayOf(json: unknown, where: string): TlbArrayDescription {
  const a = fieldsOf(json, where, ['entries', 'ways', 'pageSizes', 'replacement', 'coalescing', 'adRule', 'svnapot']);
  const entries = countOf(a['entries'], `${where}.entries`, 1, MAX_ENTRIES);
  const ways = countOf(a['ways'] ?? entries, `${where}.ways`, 1, entries);
  if (entries % ways !== 0) throw new UserError(`${where}: ${entries} entries are not a multiple of ${ways} ways.`);
  if (!isPowerOfTwo(entries / ways)) {
    throw new UserError(`${where}: ${entries} entries in ${ways} ways make ${entries / ways} sets, which is not a power of two, so no bits of an address can choose one.`);
  }
  const replacement = oneOf(a['replacement'] ?? 'lru', `${where}.replacement`, REPLACEMENTS);
  if (replacement === 'plru' && !isPowerOfTwo(ways)) {
    throw new UserError(`${where}: tree-PLRU needs a power of two of ways, not ${ways}. Choose lru, fifo or random, or other ways.`);
  }
  const sizes = a['pageSizes'];
  if (!Array.isArray(sizes) || sizes.length === 0) fail(`${where}.pageSizes`, sizes, `a list of ${SIZES.join(', ')}`);
  const pageSizes = (sizes as unknown[]).map((s, i) => oneOf(s, `${where}.pageSizes[${i}]`, SIZES));
  if (new Set(pageSizes).size !== pageSizes.length) throw new UserError(`${where}.pageSizes names a size twice.`);
  const coalescing = oneOf(a['coalescing'] ?? 'none', `${where}.coalescing`, COALESCING);
  for (const size of ['16K', '32K'] as const) {
    if (pageSizes.includes(size) && coalescing !== 'zen') {
      throw new UserError(`${where}.pageSizes: RISC-V has no ${size} pages; they exist only as what coalescing "zen" joins. Set coalescing to "zen", or leave ${size} out.`);
    }
  }
  if (!pageSizes.includes('4K') && coalescing !== 'none' && coalescing !== 'svnapot' && coalescing !== 'colt-fa') {
    throw new UserError(`${where}: coalescing "${coalescing}" joins 4K pages, which this array does not hold. Add "4K", or leave coalescing out.`);
  }
  const svnapot = optionalBoolean(a['svnapot'], `${where}.svnapot`);
  if (svnapot === false && (pageSizes.includes('64K') || coalescing === 'svnapot')) {
    throw new UserError(`${where}: svnapot is false, but 64K entries are asked for. Leave one of the two out.`);
  }
  const adRule = a['adRule'] === undefined ? undefined : oneOf(a['adRule'], `${where}.adRule`, AD_RULES);
  return {
    entries, ways, pageSizes, replacement, coalescing,
    ...(adRule === undefined ? {} : { adRule }), ...(svnapot === undefined ? {} : { svnapot }),
  };
}

function pwcOf(json: unknown): TlbDescription['pwc'] {
  if (json === undefined) return {};
  const given = fieldsOf(json, 'pwc', ['1', '2', '3', '4']);
  const pwc: Partial<Record<1 | 2 | 3 | 4, number>> = {};
  for (const level of [1, 2, 3, 4] as const) {
    const entries = given[`${level}`];
    if (entries !== undefined) pwc[level] = countOf(entries, `pwc["${level}"]`, 0, MAX_POINTERS);
  }
  return pwc;
}

// Fields, each with its sentence.
function fail(where: string, value: unknown, wanted: string): never {
  const shown = value === undefined ? 'is missing' : `is ${JSON.stringify(value)?.slice(0, 60)}`;
  throw new UserError(`${where} ${shown}; it must be ${wanted}.`);
}
function fieldsOf(json: unknown, where: string, known: readonly string[]): Record<string, unknown> {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) fail(where, json, `an object with ${known.join(', ')}`);
  for (const key of Object.keys(json)) {
    if (!known.includes(key)) throw new UserError(`${where} has a field "${key}", which means nothing. It may have ${known.join(', ')}.`);
  }
  return json as Record<string, unknown>;
}
function countOf(value: unknown, where: string, least: number, most: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > most) fail(where, value, `a whole number from ${least} to ${most}`);
  return value;
}
function cyclesOf(value: unknown, where: string): number {
  if (value === undefined) return 0;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > MAX_CYCLES) fail(where, value, `a whole number of cycles from 0 to ${MAX_CYCLES}`);
  return value;
}
function textOf(value: unknown, where: string, otherwise: string): string {
  if (value === undefined) return otherwise;
  if (typeof value !== 'string') fail(where, value, 'text');
  return value;
}
function optionalBoolean(value: unknown, where: string): boolean | undefined {
  if (value !== undefined && typeof value !== 'boolean') fail(where, value, 'true or false');
  return value;
}
function oneOf<T extends string>(value: unknown, where: string, allowed: readonly T[]): T {
  const found = allowed.find((a) => a === value);
  if (found === undefined) fail(where, value, `one of ${allowed.join(', ')}`);
  return found;
}
