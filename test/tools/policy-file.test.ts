// What --lru takes: names, and modules of the user's own in TypeScript or JavaScript. What is wrong with one is said in one sentence.
import { afterAll, describe, expect, test } from 'vitest';
import { UserError } from '#base';
import { glossary } from '#tools/glossary.ts';
import { policyNames, policyStarter, readPolicy } from '#tools/policy-file.ts';
import { scratch } from '../support/cli.ts';
import { runGuest } from '../support/run-guest.ts';

const host = scratch();
afterAll(() => { host.remove(); });
const complaint = (word: string): string => {
  try {
    readPolicy(word);
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
  return 'no complaint';
};
/** A small run in a small group. */
const words = (lru: string): string[] => ['--lru', lru, '--memory-max', '1M', '--', 'sh', '-c', 'wc /bin/sh'];

test('names are the kernel\'s own policies', () => {
  expect(readPolicy('two-list')).toMatchObject({ name: 'two-list', file: null, make: null });
  expect(typeof readPolicy('clock').make).toBe('function');
});
test('the starter is a policy that runs, and its types are found from everywhere', () => {
  const path = host.file('mine.ts', policyStarter());
  const policy = readPolicy(path);
  expect(policy).toMatchObject({ name: 'mine', file: { path } });
  expect(policy.file!.sha256).toMatch(/^[0-9a-f]{64}$/);
  expect(policyStarter()).toMatch(/^import type .* from '\/.*\/kernel\/mm\/reclaim\/policy\.ts';$/m);
  expect(policyStarter().split('\n').length).toBeLessThanOrEqual(41);
  const run = runGuest(words(path));
  expect(run.status).toBe(0);
  expect(run.report().config.lru).toEqual({ policy: 'mine', file: path, sha256: policy.file!.sha256 });
});
test('a module may import others, and be JavaScript', () => {
  host.file('parts.ts', 'export const order: number[] = [];');
  const ts = host.file('whole.ts', "import { order } from './parts.ts';\nexport default () => ({ onAdd(f: number) { order.push(f); }, onRemove() {}, victims() {} });");
  expect(typeof readPolicy(ts).make).toBe('function');
  const js = host.file('plain.mjs', 'export default () => ({ onAdd() {}, onRemove() {}, victims() {} });');
  expect(typeof readPolicy(js).make).toBe('function');
});
describe('what is wrong is said', () => {
  test.each<[string, string, RegExp]>([
    ['no name', 'cloc', /not a policy\. Did you mean clock\? Write one of .* or a file of your own/],
    ['no file', host.path('nothing.ts'), /there is no such file/],
    ['no TypeScript', host.file('syntax.ts', '\nexport default (services => {'), /syntax\.ts: line 2: Unexpected end of file/],
    ['an import that is not there', host.file('import.ts', "import './nix.ts';\nexport default () => ({});"), /line 1: Could not resolve ".\/nix.ts"/],
    ['an error while loading', host.file('throws.ts', "throw new Error('no');"), /loading it ended in an error: no\./],
    ['no default export', host.file('none.ts', 'export const policy = 1;'), /its default export is not a function/],
  ])('%s', (_, path, pattern) => expect(complaint(path)).toMatch(pattern));
  test('what it does wrong in a run ends the run with a sentence', () => {
    const missing = host.file('missing.ts', 'export default () => ({ onAdd() {}, onRemove() {} });');
    expect(() => runGuest(words(missing))).toThrow(/missing\.ts: the policy it makes has no victims\(\)\. quire presets lru-starter/);
    const throwing = host.file('throwing.ts', "export default () => ({ onAdd() { throw new Error('no room'); }, onRemove() {}, victims() {} });");
    expect(() => runGuest(words(throwing))).toThrow(/throwing\.ts: onAdd\(\) ended in an error: no room\./);
  });
});

test('quire explain knows every policy that --lru knows', () => {
  const explained = glossary().filter(({ topic }) => topic === 'policies').map(({ name }) => name);
  expect(explained).toEqual(expect.arrayContaining([...policyNames]));
});
