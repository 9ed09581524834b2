// What do larger folios cost, and what do they save?   npm run build && node tools/bench/orders.mjs
// Prints two Markdown tables: memory of the sparse toucher by folio order, and TLB misses of three programs by order, with and without TLBs that
// cover several pages by one entry. Every number is a count, so it is the same on every machine; the README has the tables.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const quire = join(dirname(fileURLToPath(import.meta.url)), '../../dist/quire.cjs');
const folder = mkdtempSync(join(tmpdir(), 'quire-orders-'));
/** Folio orders, and the option that makes anonymous memory use them. */
const orders = { 0: [], 2: ['16k=always'], 4: ['64k=always'], 9: ['2m=always'] };
const programs = { gups: [], chase: [], hashjoin: [] };
const SPARSE = ['sparse', '--bytes', '67108864', '--gap', '131072', '--rounds', '30'];
const PLACES = 67108864 / 131072;

const run = (...words) => execFileSync(process.execPath, [quire, ...words], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 1 << 26 });
const stat = (order, words, options = []) =>
  JSON.parse(run('stat', '--json', '--thp', 'never', ...(order === '9' ? [] : ['--mthp', '2m=never']), ...orders[order].flatMap((word) => ['--mthp', word]), ...options, '--', ...words));
const thousands = (n) => `${n}`.replace(/\B(?=(\d{3})+$)/g, ',');
const row = (...cells) => console.log(`| ${cells.join(' | ')} |`);

/** The generic TLBs with one way of coalescing in every array that holds 4K pages; Svnapot is a way of its own. */
function tlbFile(coalescing) {
  const generic = JSON.parse(run('presets', 'generic'));
  const array = (a) => {
    if (!a.pageSizes.includes('4K')) return a;
    const pageSizes = [...a.pageSizes.filter((size) => size !== '16K' && size !== '64K'), ...(coalescing === 'zen' ? ['16K'] : [])];
    return { ...a, pageSizes, coalescing, svnapot: coalescing === 'svnapot' };
  };
  const level = (l) => (l === null || l === undefined ? l : { ...l, arrays: l.arrays.map(array) });
  const path = join(folder, `${coalescing}.json`);
  writeFileSync(path, JSON.stringify({ ...generic, name: `generic, ${coalescing}`, l1i: level(generic.l1i), l1d: level(generic.l1d), l2: level(generic.l2) }));
  return path;
}

try {
  row('folio order', 'page faults', 'kB touched', 'kB resident', 'resident / touched');
  row('---', '---', '---', '---', '---');
  for (const order of Object.keys(orders)) {
    const report = stat(order, SPARSE, ['--mem', '256M']);
    row(order, thousands(report.faults.minor), thousands(PLACES * 4), thousands(report.memory.maxRssKb), (report.memory.maxRssKb / (PLACES * 4)).toFixed(1));
  }
  console.log('');
  const ways = { none: 'an entry a page', zen: '4 neighbours merged', svnapot: 'Svnapot' };
  row('program', 'TLB', ...Object.keys(orders).map((order) => `order ${order}`));
  row('---', '---', ...Object.keys(orders).map(() => '---'));
  for (const [program, args] of Object.entries(programs)) {
    for (const [way, name] of Object.entries(ways)) {
      const file = tlbFile(way);
      row(program, name, ...Object.keys(orders).map((order) => {
        const { tlb } = stat(order, [program, ...args], ['--tlb', file]);
        return `${thousands(tlb.l1d.misses)} / ${thousands(tlb.walks.count)}`;
      }));
    }
  }
} catch (error) {
  console.error(error.stderr?.toString() || error.message);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true });
}
