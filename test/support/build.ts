// Before all tests: dist/quire.cjs from the sources as they are, since tests of the command run the bundle.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

export default function setup(): void {
  execFileSync(process.execPath, [join(import.meta.dirname, '../../tools/build.mjs')], { stdio: ['ignore', 'ignore', 'inherit'] });
}
