import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Tests of the command run the bundle: it is made from the sources as they are.
    globalSetup: ['test/support/build.ts'],
    testTimeout: 180_000,
    hookTimeout: 180_000,
    // Two workers: the machines this runs on have two cores, and each test holds a guest's RAM.
    maxWorkers: 2,
  },
});
