// The load average against its definition in floating point, and the text Linux prints.
import { expect, test } from 'vitest';
import { LoadAverage } from '#kernel/proc/loadavg.ts';

test('it follows the exponential average of its definition', () => {
  const load = new LoadAverage();
  const exact = [0, 0, 0];
  const minutes = [1, 5, 15];
  for (let i = 1; i <= 300; i++) {
    const active = i <= 120 ? 3 : i <= 200 ? 1 : 0;
    load.sample(i * 5.004e9, active);
    minutes.forEach((m, k) => {
      const decay = Math.exp(-5 / 60 / m);
      exact[k] = exact[k]! * decay + active * (1 - decay);
    });
    load.text().split(' ').forEach((word, k) => expect(Math.abs(Number(word) - exact[k]!)).toBeLessThan(0.06));
  }
});

test('an idle machine goes to zero, a busy one to a whole number', () => {
  const load = new LoadAverage();
  expect(load.text()).toBe('0.00 0.00 0.00');
  load.sample(3 * 3600e9, 2);
  expect(load.text()).toBe('2.00 2.00 2.00');
  expect(load.words()).toEqual([131072, 131072, 131072]);
  load.sample(9 * 3600e9, 0);
  expect(load.text()).toBe('0.00 0.00 0.00');
});
