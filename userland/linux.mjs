// A running Linux as an oracle: its folio sizes set one way after another, programs of programs/ built for it and run. Shared by record-linux.mjs,
// which keeps the answers, and compare-linux.mjs, which compares them at once. Needs root, a C compiler, a Linux of 6.8 or later.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const userland = dirname(fileURLToPath(import.meta.url));
const controls = '/sys/kernel/mm/transparent_hugepage';
/** What is not `never`: the word of the global control, and of the sizes. */
export const settings = {
  never: {}, '16K': { '16kB': 'always' }, '64K': { '64kB': 'always' }, '16K+64K+2M': { '16kB': 'always', '64kB': 'always', '2048kB': 'always' },
  '2M': { '2048kB': 'always' }, '32K+256K': { '32kB': 'always', '256kB': 'always' },
  advised: { global: 'madvise', '16kB': 'madvise', '64kB': 'inherit', '2048kB': 'inherit' },
  inherited: { global: 'always', '128kB': 'inherit', '1024kB': 'inherit', '512kB': 'madvise' },
};
/** The same for sizes.c, whose counters are the whole machine's: only memory that asks for it gets large folios. */
export const advised = {
  never: {}, '16K': { '16kB': 'madvise' }, '64K': { '64kB': 'madvise' }, '16K+64K+2M': { '16kB': 'madvise', '64kB': 'madvise', '2048kB': 'madvise' },
  '2M': { '2048kB': 'madvise' }, '32K+256K': { '32kB': 'madvise', '256kB': 'madvise' },
  inherited: { global: 'madvise', '64kB': 'inherit', '2048kB': 'inherit' }, '128K+512K+1M': { '128kB': 'madvise', '512kB': 'madvise', '1024kB': 'madvise' },
};
/** A setting in words. */
export const sysfsOf = ({ global = 'never', ...words }) =>
  `enabled=${global}, hugepages-*kB/enabled=never${Object.entries(words).map(([kb, word]) => `, hugepages-${kb}/enabled=${word}`).join('')}`;
/** Quire's options that mean the same. */
export const quireOptions = ({ global = 'never', ...words }) =>
  ['--thp', global, '--mthp', Object.entries({ '2048kB': 'never', ...words }).map(([kb, word]) => `${kb.slice(0, -2)}k=${word}`).join(',')];

/** The value in force: the word in brackets, or the whole text. */
const inForce = (file) => {
  const text = readFileSync(join(controls, file), 'utf8').trim();
  return /\[(.*)\]/.exec(text)?.[1] ?? text;
};
const set = (file, value) => writeFileSync(join(controls, file), `${value}\n`);

/** Calls `use` with { build, apply, run }, and puts every control back and removes what was built at the end. */
export function withLinux(use) {
  const sizes = readdirSync(controls).filter((name) => existsSync(join(controls, name, 'enabled')));  // 8 kB is for tmpfs only
  const files = ['enabled', 'khugepaged/scan_sleep_millisecs', ...sizes.map((size) => `${size}/enabled`)];
  const before = new Map(files.map((file) => [file, inForce(file)]));
  const folder = mkdtempSync(join(tmpdir(), 'quire-linux-'));
  try {
    set('khugepaged/scan_sleep_millisecs', 4_000_000_000);  // a collapse in the background is not the program's doing
    return use({
      build(program) {
        execFileSync('cc', ['-std=gnu11', '-O2', '-static', '-o', join(folder, program), join(userland, `programs/${program}.c`)], { stdio: 'inherit' });
      },
      apply({ global = 'never', ...words }) {
        set('enabled', global);
        for (const size of sizes) set(`${size}/enabled`, words[size.slice('hugepages-'.length)] ?? 'never');
      },
      run(program, args = [], input = '') {
        writeFileSync('/proc/sys/vm/compact_memory', '1\n');  // large folios must not fall back for want of contiguous memory
        return execFileSync(join(folder, program), args, { input, encoding: 'utf8', maxBuffer: 1 << 28, timeout: 120_000 });
      },
    });
  } finally {
    for (const [file, value] of before) set(file, value);
    rmSync(folder, { recursive: true });
  }
}
