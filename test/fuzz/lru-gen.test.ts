// A storm under MGLRU beside a naive model of it: generations, tiers, counters and the order of every list are compared all the while, and nothing may be
// lost. The default is 10,000 steps for each of four settings; more:
//   QUIRE_LRU_GEN=200000 npx vitest run test/fuzz/lru-gen.test.ts     (QUIRE_SEED=n for another run)
import { expect, test } from 'vitest';
import { LruGenWorld, settingName } from './lru-gen-world.ts';
import type { Setting } from './lru-gen-world.ts';

const steps = Number(process.env['QUIRE_LRU_GEN'] ?? 10_000);
const seed = Number(process.env['QUIRE_SEED'] ?? 1);
const settings: readonly Setting[] = [
  { release: 618, swapPages: 2048, orders: [2, 4] }, { release: 618, swapPages: 0, orders: [] }, { release: 612, swapPages: 2048, orders: [2, 4] }, { release: 612, swapPages: 512, orders: [3] },
];

for (const setting of settings) {
  test(`${settingName(setting)}: ${steps} steps come to what the model says`, () => {
    const world = new LruGenWorld(seed, setting);
    world.run(steps);
    const { vmstat } = world.system;
    const counts = ['pgscan_file', 'pgsteal_file', 'pgsteal_anon', 'pgrefill', 'workingset_refault_file', 'workingset_refault_anon', 'workingset_restore_file', 'pgactivate', 'thp_split_page'] as const;
    if (process.env['QUIRE_LRU_GEN'] !== undefined) console.log(settingName(setting), Object.fromEntries(counts.map((name) => [name, vmstat.get(name)])), world.counts);
    // A storm in which nothing went would show nothing.
    if (steps >= 5000) {
      expect(vmstat.get('pgsteal_file')).toBeGreaterThan(steps / 10);
      expect(vmstat.get('workingset_refault_file')).toBeGreaterThan(steps / 100);
      if (setting.swapPages > 0) expect(vmstat.get('workingset_refault_anon')).toBeGreaterThan(steps / 100);
    }
  }, 10 * 3600_000);
}
