// Random memory operations on several processes with allocations that fail, invariants after each. The default is a slice; a million:
//   QUIRE_STORM=200000 npx vitest run test/fuzz/mm-storm.test.ts        (operations for each of the five settings; QUIRE_SEED=n for another run)
import { expect, test } from 'vitest';
import { storm, stormName } from './mm-world.ts';

const operations = Number(process.env['QUIRE_STORM'] ?? 1200);
const seed = Number(process.env['QUIRE_SEED'] ?? 1);
/** Who must have been refused memory in a run of any length worth the name. */
const sites = ['allocTable', 'allocAnonFolio', 'copyPage', 'copyFromFile', 'pageFor'];

for (const orders of [[], [2], [4], [9], [2, 4, 5, 9]]) {
  test(`${stormName(orders)}: invariants and contents hold under ${operations} operations, and no frame is lost`, () => {
    const world = storm(seed, orders, operations);
    const failed = [...world.failedSites.keys()];
    if (operations >= 6000) for (const site of sites) expect(failed.some((name) => name.startsWith(site)), `failures at ${site}: ${failed.join(', ')}`).toBe(true);
    if (process.env['QUIRE_STORM'] !== undefined) console.log([...world.failedSites].sort().map(([name, n]) => `${n} ${name}`).join('\n'));
  }, 10 * 3600_000);
}
