// Random memory operations on several processes with allocations that fail, invariants after each. The default is a slice; a million:
//   QUIRE_STORM=200000 npx vitest run test/fuzz/mm-storm.test.ts        (operations for each of the settings; QUIRE_SEED=n for another run,
//   QUIRE_STORM_ORDERS='2,4,5,9' for one setting, or several with ; between them)
import { expect, test } from 'vitest';
import { allocSites } from './alloc-sites.ts';
import { storm, stormName } from './mm-world.ts';
import type { Setting } from './mm-world.ts';

const operations = Number(process.env['QUIRE_STORM'] ?? 600);
const seed = Number(process.env['QUIRE_SEED'] ?? 1);
const chosen = process.env['QUIRE_STORM_ORDERS']?.split(';');
const settings: readonly Setting[] = [
  { orders: [], memmap: 64 }, { orders: [2], memmap: 32 }, { orders: [4], memmap: 16 }, { orders: [9], memmap: 64 }, { orders: [2, 4, 5, 9], memmap: 8 },
  { orders: [], memmap: 64, swap: 400 }, { orders: [4, 9], memmap: 64, swap: 4096 }, { orders: [2, 4, 5, 9], memmap: 8, swap: 2000 },
  { orders: [4, 9], memmap: 64, swap: 1000, lru: 'random' }, { orders: [2, 4, 9], memmap: 64, swap: 1500, lru: 'mglru' },
  { orders: [2, 4, 5, 9], memmap: 8, swap: 2000, zswap: 1 }, { orders: [2, 4, 5, 9], memmap: 32, swap: 2000, disk: 'pmem' }, { orders: [4], memmap: 64, swap: 600, disk: 'pmem', zswap: 1 },
];
/** Where files on disks get their folios; all files of the storm live in memory. And what is done before it begins. */
const onDisks = ['mm/readahead.ts', 'mm/filemap-read.ts', 'fs/folio-io.ts', 'mm/swap/swapon.ts'];
const wanted = [...allocSites.values()].filter((site) => !onDisks.some((file) => site.startsWith(file)));
/** What failed under the settings so far. */
const failed = new Set<string>();
/** After all settings, a run of this length has seen every site refused. */
const ENOUGH = 20_000;

for (const setting of settings.filter(({ orders }) => chosen?.includes(orders.join(',')) ?? true)) {
  test(`${stormName(setting)}: invariants and contents hold under ${operations} operations, and no frame is lost`, () => {
    const world = storm(seed, setting, operations);
    if (process.env['QUIRE_STORM'] !== undefined) console.log(world.system.vmstat.lines().filter((line) => /swp|swap|pgsteal_|pgmajfault|pgreuse/.test(line)).join(' '));
    if (process.env['QUIRE_STORM'] !== undefined) console.log([...world.failedSites].sort().map(([name, n]) => `${n} ${name}`).join('\n'));
    for (const site of world.failedSites.keys()) failed.add(site);
    if (operations >= ENOUGH && chosen === undefined && setting === settings.at(-1)) expect(wanted.filter((site) => !failed.has(site)), 'sites that never failed').toEqual([]);
  }, 10 * 3600_000);
}
