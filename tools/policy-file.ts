// The policy that --lru names: one of Quire's own, or a module of the user's, in TypeScript or JavaScript. Here: finding, translating and loading
// it. Not here: what a policy is (kernel/mm/reclaim/policy.ts), what becomes of a wrong answer (chosen.ts there).
//
// A module is bundled by esbuild, which is there wherever Quire was built from its checkout; without it Node loads the file itself, as Node
// 22.18 and newer can. It runs in this process with all that Node allows: it is the user's own program.
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';
import { runInThisContext } from 'node:vm';
import { UserError } from '#base';
import { recordedPolicies, smallPolicies } from '#kernel';
import type { ReclaimPolicyMaker } from '#kernel';
import type { PolicyConfig } from './config.ts';
import { packageRoot, readHostFile, sha256 } from './host.ts';
import { didYouMean } from './suggest.ts';

/** What --lru knows by name. */
export const policyNames = ['two-list', 'mglru', ...Object.keys(smallPolicies), ...Object.keys(recordedPolicies)] as const;
const known: Readonly<Record<string, ReclaimPolicyMaker>> = { ...smallPolicies, ...recordedPolicies };
/** What quire presets calls the policy that one's own can be started from. */
export const STARTER = 'lru-starter';
const HINT = `quire presets ${STARTER} prints one to start from.`;

/** Its text. The types come from this checkout by their whole path, so that an editor finds them wherever the file is; at run time nobody looks. */
export function policyStarter(): string {
  const text = new TextDecoder().decode(readHostFile(join(packageRoot, 'tools/lru-starter.ts'), STARTER));
  return text.replace("'#kernel'", `'${join(packageRoot, 'kernel/mm/reclaim/policy.ts')}'`);
}

/** @param word what follows --lru: a name, or the path of a file @throws UserError */
export function readPolicy(word: string): PolicyConfig {
  if (policyNames.includes(word)) return { name: word, file: null, make: known[word] ?? null, needsRecording: word in recordedPolicies, recording: null };
  if (!/\.[cm]?[jt]s$/.test(word)) {
    throw new UserError(`--lru ${word}: not a policy.${didYouMean(word, policyNames)} Write one of ${policyNames.join(', ')}, or a file of your own that ends in .ts or .js; ${HINT}`);
  }
  const bytes = readHostFile(word, `--lru ${word}`);
  const module = load(word, bytes);
  const make = (module as { default?: unknown } | null)?.default ?? module;
  if (typeof make !== 'function') throw new UserError(`--lru ${word}: its default export is not a function. Write export default (services) => ({ onAdd, onRemove, victims }); ${HINT}`);
  return { name: basename(word).replace(/\.[^.]*$/, ''), file: { path: word, sha256: sha256(bytes) }, make: make as ReclaimPolicyMaker, needsRecording: (module as { needsRecording?: unknown }).needsRecording === true, recording: null };
}

/** What the module exports. */
function load(word: string, bytes: Uint8Array): unknown {
  const path = resolve(word);
  const bundled = bundle(word, path, bytes);
  try {
    return bundled === null ? createRequire(import.meta.url)(path) : evaluate(path, bundled);
  } catch (error) {
    const text = (error instanceof Error ? error.message : String(error)).split('\n')[0]!;
    if (bundled === null && /ERR_UNKNOWN_FILE_EXTENSION|ERR_REQUIRE_ESM|Unexpected token|Cannot use import|Unexpected identifier/.test(`${(error as { code?: string }).code ?? ''} ${text}`)) {
      throw new UserError(`--lru ${word}: this Node cannot load it by itself. Say npm ci in Quire's folder, which brings esbuild; or use Node 22.18 or newer.`);
    }
    throw new UserError(`--lru ${word}: loading it ended in an error: ${text}. ${HINT}`);
  }
}
interface BuildResult { readonly outputFiles: readonly { readonly text: string }[] }
interface BuildMessage { readonly text: string; readonly location: { readonly file: string; readonly line: number } | null }
/** As one script that gives module.exports; null: there is no esbuild. What the file imports comes along. */
function bundle(word: string, path: string, bytes: Uint8Array): string | null {
  let esbuild: { buildSync(options: Record<string, unknown>): BuildResult };
  try {
    esbuild = createRequire(join(packageRoot, 'package.json'))('esbuild');
  } catch {
    return null;
  }
  try {
    const loader = /\.[cm]?ts$/.test(path) ? 'ts' : 'js';
    const built = esbuild.buildSync({
      stdin: { contents: new TextDecoder().decode(bytes), sourcefile: word, resolveDir: dirname(path), loader }, bundle: true, write: false, platform: 'node', format: 'cjs', target: 'node20', logLevel: 'silent',
      tsconfigRaw: {},
    });
    return built.outputFiles[0]!.text;
  } catch (error) {
    const [first] = (error as { errors?: readonly BuildMessage[] }).errors ?? [];
    if (first === undefined) return null;
    const where = first.location === null ? '' : `line ${first.location.line}: `;
    throw new UserError(`--lru ${word}: ${where}${first.text}. ${HINT}`);
  }
}
function evaluate(path: string, code: string): unknown {
  const module = { exports: {} as unknown };
  const run = runInThisContext(`(function (module, exports, require) {${code}\n})`, { filename: path }) as (m: typeof module, exports: unknown, require: unknown) => void;
  run(module, module.exports, createRequire(path));
  return module.exports;
}
