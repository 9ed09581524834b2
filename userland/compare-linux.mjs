// Asks this Linux and Quire the same random questions: scripts for programs/probe.c, drawn from seeds, run by both under the settings of linux.mjs.
//   sudo node userland/compare-linux.mjs [--from 1] [--scenarios 20] [--steps 40] [--pages 1100] [--settings never,64K] [--script FILE]
// Prints the first line of each scenario that differs, with both answers; status 1 if there is any. A line that Linux itself answers in two ways
// ends its scenario: it says nothing. --print writes the script and asks nobody. Needs root, a C compiler, `npm run build`.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { quireOptions, settings, userland, withLinux } from './linux.mjs';

const args = process.argv.slice(2);
const option = (name, fallback) => (args.includes(`--${name}`) ? args[args.indexOf(`--${name}`) + 1] : fallback);

/** Numbers in [0, 1) by the seed: mulberry32. */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A scenario of `steps` lines. Ranges lie near mappings made before, and often where folios begin. */
function scenario(seed, steps, pages) {
  const random = generator(seed);
  const below = (n) => Math.floor(random() * n);
  const pick = (list) => list[below(list.length)];
  const chance = (p) => random() < p;
  const lines = [`== seed ${seed}`];
  const living = new Set(['a']);
  // MREMAP_DONTUNMAP of locked memory leaves VmLck counting it for ever on Linux: one or the other.
  const keeps = chance(0.5);
  /** Mappings made lately, as [first, pages]. */
  const known = [];
  const length = () => pick([() => 1, () => 1 + below(4), () => pick([4, 8, 16, 16, 32, 64]), () => 1 + below(40), () => pick([128, 256, 512]), () => 1 + below(pages)])();
  const clip = ([first, count]) => [Math.max(0, Math.min(first, pages - 1)), Math.max(1, Math.min(count, pages - Math.max(0, Math.min(first, pages - 1))))];
  const anywhere = () => {
    const count = Math.min(length(), pages);
    const first = below(pages - count + 1);
    const step = chance(0.6) ? pick([4, 8, 16, 16, 64, 512]) : 1;
    return clip([first - (first % step), count]);
  };
  const nearby = () => {
    if (known.length === 0 || chance(0.07)) return anywhere();
    const [first, count] = pick(known);
    const inside = below(count);
    return clip(pick([
      () => [first, count], () => [first, 1 + below(count)], () => [first + inside, Math.min(count - inside, length())],
      () => [first + inside - (inside % 16), pick([4, 8, 16, 32])], () => [first - below(8), count + 8],
    ])());
  };
  const text = ([first, count]) => `${first}+${count}`;
  const remember = (range) => {
    if (known.length > 6) known.shift();
    known.push(range);
    return text(range);
  };
  const strided = (strides) => (chance(0.4) ? `/${pick(strides)}` : '');
  const map = () => {
    const flags = [['populate', 0.1], ['lock', keeps ? 0 : 0.05], ['noreserve', 0.1], ['fresh', 0.05]].filter(([, p]) => chance(p)).map(([flag]) => ` ${flag}`);
    return `map ${remember(anywhere())} ${pick(['anon', 'anon', 'anon', 'anon', 'shared', 'file', 'private', 'private'])} ${pick(['rw', 'rw', 'rw', 'rw', 'r', 'none'])}${flags.join('')}`;
  };
  const move = () => {
    const from = nearby();
    const to = clip([anywhere()[0], chance(0.8) ? from[1] : length()]);
    if (chance(0.5)) to[0] += (from[0] % 16) - (to[0] % 16);
    return `move ${text(from)} ${remember(clip(to))}${keeps && chance(0.35) ? ' keep' : ''}`;
  };
  const resize = () => {
    const range = nearby();
    return `resize ${text(range)} ${Math.max(1, chance(0.6) ? range[1] + below(40) - 20 : 1 + below(range[1]))}`;
  };
  const advices = ['dontneed', 'dontneed', 'free', 'cold', 'pageout', 'populate_read', 'populate_write', 'collapse', 'collapse', 'hugepage', 'nohugepage', 'wipeonfork',
    'keeponfork', 'dontfork', 'dofork', 'dontneed_locked', 'willneed', 'random', 'normal', 'remove', 'guard_install', 'guard_remove'];
  /** Steps, and how often they come. A step that cannot be done now is null. */
  const kinds = [
    [6, map], [3, () => `unmap ${text(nearby())}`], [5, () => `protect ${text(nearby())} ${pick(['r', 'rw', 'rw', 'rw', 'none'])}`], [4, move], [2, resize],
    [9, () => `advise ${text(nearby())} ${pick(advices)}`], [16, () => `write ${text(nearby())}${strided([2, 3, 4, 7, 16, 17, 64])}`],
    [7, () => `read ${text(nearby())}${strided([2, 3, 4, 7, 16, 17, 64])}`], [2, () => `${pick(['kread', 'kwrite'])} ${text(nearby())}${strided([3, 16])}`],
    [keeps ? 0 : 2, () => `${pick(['lock', 'lock', 'lockonfault'])} ${text(nearby())}`], [2, () => `unlock ${text(nearby())}`], [1, () => `core ${text(nearby())}`], [1, () => 'rollup'],
    [1, () => `truncate ${below(pages)}`], [1, () => `punch ${text(nearby())}`], [2, () => `${pick(['pread', 'pwrite'])} ${text(nearby())}${strided([3, 16])}`],
    [5, () => {
      const child = ['a', 'b', 'c', 'd', 'e'].find((name) => !living.has(name));
      if (child === undefined || living.size > 3) return null;
      living.add(child);
      return `fork ${child}`;
    }],
    [3, (actor) => (living.size > 1 && living.delete(actor) ? 'exit' : null)],
  ];
  const total = kinds.reduce((sum, [weight]) => sum + weight, 0);
  const [first, second] = [map(), map()];
  lines.push(`a ${first}`, `a ${second}`);
  const home = pick(known);
  lines.push(`a protect ${text(home)} rw`, `a write ${text(home)}`);
  while (lines.length <= steps) {
    let at = random() * total;
    const actor = pick([...living]);
    const step = (kinds.find(([weight]) => (at -= weight) < 0) ?? kinds[0])[1](actor);
    if (step !== null) lines.push(`${actor} ${step}`);
  }
  return `${lines.join('\n')}\n`;
}

/** Scenario -> its lines. */
function scenariosOf(text) {
  const found = new Map();
  for (const line of text.split('\n')) {
    if (line.startsWith('== ')) found.set(line, []);
    else if (line !== '') [...found.values()].at(-1)?.push(line);
  }
  return found;
}

const from = Number(option('from', '1'));
const script = option('script', null) !== null ? readFileSync(option('script'), 'utf8')
  : Array.from({ length: Number(option('scenarios', '20')) }, (_, i) => scenario(from + i, Number(option('steps', '40')), Number(option('pages', '1100')))).join('');
if (args.includes('--print')) {
  process.stdout.write(script);
  process.exit(0);
}
const chosen = Object.entries(settings).filter(([name]) => option('settings', name).split(',').includes(name));
const long = ['--longest', '6000'];
const answers = withLinux((linux) => {
  linux.build('probe');
  return chosen.map(([name, words]) => {
    linux.apply(words);
    return { name, words, texts: [linux.run('probe', long, script), linux.run('probe', long, script)] };
  });
});
let [lines, differing, unstable] = [0, 0, 0];
for (const { name, words, texts } of answers) {
  const [first, second] = texts.map(scenariosOf);
  // Four levels of page tables, as x86-64 has them.
  const { stdout, stderr, status } = spawnSync(process.execPath, [join(userland, '../dist/quire.cjs'), 'run', '--sv', '48', ...quireOptions(words), '--', 'probe', ...long],
    { input: script, encoding: 'utf8', maxBuffer: 1 << 28 });
  if (status !== 0 || stderr !== '') console.log(`${name}: Quire ended with ${status}. ${stderr}`);
  const mine = scenariosOf(stdout);
  for (const [title, expected] of first) {
    for (const [i, line] of expected.entries()) {
      if (line !== second.get(title)[i]) {
        unstable++;
        break;
      }
      lines++;
      const other = mine.get(title)?.[i] ?? 'nothing';
      if (line === other) continue;
      differing++;
      const [ours, theirs] = [other.split(' '), line.split(' ')];
      console.log(`${name}, ${title.slice(3)}, line ${i + 1}: ${line.split(':')[0]}\n  Linux: ${theirs.filter((word) => !ours.includes(word)).join(' ')}\n  Quire: ${ours.filter((word) => !theirs.includes(word)).join(' ')}`);
      break;
    }
  }
}
console.log(`${lines} lines under ${chosen.length} settings; ${differing} scenarios differ, ${unstable} were not the same twice on Linux.`);
process.exitCode = differing > 0 ? 1 : 0;
