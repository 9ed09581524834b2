// Records what the bundled programs print: runs userland/bin under qemu-riscv64 and writes test/golden/workloads-qemu.json.   node userland/record-workloads.mjs
// If a C compiler is there, the same sources built for this host must print the same; a difference is an error, and nothing is written.
// qemu-user executes other programs only where binfmt_misc is set up, so `build` is given a script that starts qemu again.
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const userland = dirname(fileURLToPath(import.meta.url));
const outFile = join(userland, '../test/golden/workloads-qemu.json');

/** Each program with its defaults, with another size and seed, and one call that is wrong. */
const cases = [
  ['chase'], ['chase', '--nodes', '1000', '--spacing=64', '--steps', '20K', '--seed', '7'], ['chase', '--nodes', 'many'],
  ['stride'], ['stride', '--bytes', '1M', '--stride', '65536', '--passes', '100', '--seed', '7'], ['stride', '--stride', '12'],
  ['gups'], ['gups', '--words', '16K', '--updates', '50000', '--seed', '7'], ['gups', '--words', '1000'],
  ['stream'], ['stream', '--elements', '10000', '--rounds', '4', '--seed', '7'], ['stream', '--rounds', '9'],
  ['hashjoin'], ['hashjoin', '--inner', '3000', '--outer', '5000', '--seed', '7'], ['hashjoin', '--inner'],
  ['btree'], ['btree', '--keys', '2000', '--lookups', '1000', '--seed', '7'], ['btree', '-k', '1'],
  ['bfs'], ['bfs', '--nodes', '5000', '--degree', '3', '--sources', '2', '--seed', '7'], ['bfs', '--nodes', '0'],
  ['spmv'], ['spmv', '--size', '3000', '--per-row', '5', '--rounds', '5', '--seed', '7'], ['spmv', '--what', '1'],
  ['mergesort'], ['mergesort', '--count', '5001', '--seed', '7'], ['mergesort', '5001'],
  ['kv'], ['kv', '--keys', '500', '--value', '1K', '--operations', '3000', '--seed', '7'], ['kv', '--value', '10'],
  ['filescan'], ['filescan', '--bytes', '100001', '--chunk', '777', '--passes', '2', '--seed', '7'], ['filescan', '--path', '/nowhere/at/all'],
  ['filemap'], ['filemap', '--bytes', '100K', '--accesses', '5000', '--writes', '60', '--seed', '7'], ['filemap', '--writes', '101'],
  ['build'], ['build', '--units', '3', '--lines', '20', '--seed', '7'], ['build', '--units', '1x'],
  ['fragment'], ['fragment', '--bytes', '3M', '--keep', '7', '--then', '1M', '--passes', '3', '--seed', '7'], ['fragment', '--keep', '-1'],
  ['sparse'], ['sparse', '--bytes', '64M', '--gap', '200K', '--rounds', '9', '--seed', '7'], ['sparse', '--gap', '4097'],
  ['hotscan'], ['hotscan', '--hot', '64K', '--cold', '1M', '--scans', '1', '--uses', '9', '--seed', '7'], ['hotscan', '--hot', '1'],
  ['phases'], ['phases', '--window', '256K', '--phases', '3', '--accesses', '9000', '--overlap', '50', '--seed', '7'], ['phases', '--help'],
  ['compute'], ['compute', 'sha256', '1', '--seed', '7'], ...['crc32', 'sieve', 'memcpy', 'core', 'records'].map((kernel) => ['compute', '--kernel', kernel]), ['compute', 'compute'],
  ['reclaim'], ...['zipf --level 71', 'loop --write 100', 'hotscan --hot 200K --uses 2', 'phases --window 300K --phase 800'].map((words) =>
    ['reclaim', '--pattern', ...words.split(' '), '--size', '1M', '--touches', '9000', '--verify', '1', '--seed', '7']), ['reclaim', '--pattern', 'lru'],
  ['hello'], ['hello', 'Quire'], ['hello-pie', 'Quire'],
  // The shell, with everything it knows; nothing here depends on the folder, and files go to /tmp.
  ...[
    'echo a b | wc -w; echo $?; false || echo no; true && echo yes; ! true; echo $?',
    'x="a  b"; echo $x "$x" \'$x\' ${x}c \\$x; y=$(echo one; echo two); echo $y; echo "$y"; echo $(echo $(echo deep))',
    'for i in 1 2 3; do if [ $i = 2 ]; then continue; fi; echo $i; done; i=0; while [ $i != xxx ]; do i=x$i; if [ $i = xx0 ]; then break; fi; done; echo $i',
    'if false; then echo a; elif [ 3 -lt 10 ]; then echo b; else echo c; fi; until true; do echo never; done; { echo x; (exit 4); echo $?; } | sort -r',
    'mkdir -p /tmp/t/u && cd /tmp/t && pwd; echo one > f; echo two >> f; cat < f; cp f g; ls; ls u nope 2>/dev/null || echo missing; echo *; echo "*" ? [fg]; while read a; do echo "<$a>"; done < f; cd /; rm -r /tmp/t; ls /tmp/t 2>/dev/null || echo gone',
    'seq 12 | head -n 3; seq 12 | tail -n 2; seq 5 -2 1; seq 100 | grep 1 | grep -v 0 | wc -l; seq 20 | grep -c "^1.$"; seq 12 | sort | head -n 4',
    'sh -c "kill -9 \\$\\$"; echo $?; nosuchprogram; echo $?; exec echo replaced',
    'export A=1; B=2; env | grep -c "^A=1"; env | grep -c "^B=2"; env A=3 /bin/nosuch 2>/dev/null; echo $?; exit 3',
  ].map((script) => ['sh', '-c', script]),
  ['sh', '-c', 'echo "open'], ['sh', '-c', 'fi'], ['sh', '-c', 'cat /nowhere/at/all'], ['sh', '-c', 'head -n x'],
];

const folder = mkdtempSync(join(tmpdir(), 'workloads-'));
const run = (command, args) => {
  const { stdout, stderr, status } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 24 });
  return { stdout, stderr, status };
};
/** A program is a .c file, or a folder of them. */
function sourcesOf(name) {
  const folder = join(userland, 'programs', name.replace(/-pie$/, ''));
  return existsSync(folder) ? readdirSync(folder).filter((file) => file.endsWith('.c')).map((file) => join(folder, file)) : [`${folder}.c`];
}
const native = new Map();
/** The program built for this host, or null where there is no compiler. */
function nativeProgram(name) {
  if (!native.has(name)) {
    const target = join(folder, name);
    const built = spawnSync('cc', ['-std=gnu11', '-O2', '-ffp-contract=off', '-pthread', '-o', target, ...sourcesOf(name), '-lm']).status === 0;
    native.set(name, built ? target : null);
  }
  return native.get(name);
}

const rows = [];
try {
  const again = join(folder, 'again');
  writeFileSync(again, `#!/bin/sh\nexec qemu-riscv64 ${join(userland, 'bin/build')} "$@"\n`);
  chmodSync(again, 0o755);
  for (const [name, ...args] of cases) {
    const program = join(userland, 'bin', name);
    if (!existsSync(program)) throw new Error(`${program} is missing: node userland/build.mjs makes it.`);
    const answer = run('qemu-riscv64', [program, ...args, ...(name === 'build' && !args.includes('1x') ? ['--program', again] : [])]);
    const host = nativeProgram(name);
    if (host !== null) {
      const other = run(host, args);
      if (JSON.stringify(other) !== JSON.stringify(answer)) throw new Error(`${name} ${args.join(' ')}: qemu says\n${JSON.stringify(answer)}\nthis host says\n${JSON.stringify(other)}`);
    }
    rows.push(JSON.stringify({ argv: [name, ...args], ...answer }));
  }
} finally {
  rmSync(folder, { recursive: true });
}
const oracle = execFileSync('qemu-riscv64', ['--version'], { encoding: 'utf8' }).split('\n')[0];
writeFileSync(outFile, `{\n "oracle": ${JSON.stringify(oracle)},\n "command": "node userland/record-workloads.mjs",\n "rows": [\n  ${rows.join(',\n  ')}\n ]\n}\n`);
console.error(`${relative(process.cwd(), outFile)}: ${rows.length} rows.`);
