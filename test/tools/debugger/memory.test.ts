// Memory as a debugger reads it is what the kernel would give, wherever the page is, and nothing of the machine changes by it.
import { expect, test } from 'vitest';
import { PAGE_SIZE } from '#base';
import { accessRemoteVm, entryOfPte, isSwapPte } from '#kernel';
import { memoryAt } from '#tools/debugger/memory.ts';
import { at, END, openGuest } from './fixture.ts';

test.each([
  ['swap on a device', '--mem 48M --memory-max 3M', '--size 4M'],
  ['zswap before it', '--mem 16M --set /sys/module/zswap/parameters/enabled=1', '--size 14M'],
  ['large folios', '--mem 48M --memory-max 3M --mthp 64k=always', '--size 4M'],
])('every page of a program under pressure: %s', (_, options, size) => {
  const timeline = openGuest(`--swap 32M --swap-latency pmem ${options} -- swapcheck ${size} --shared 1M --steps 100 --forks 0`);
  let [pages, swapped] = [0, 0];
  timeline.seek(END);
  const end = timeline.place.instret;
  for (const instret of [Math.floor(0.7 * end)]) {
    timeline.seek(at(instret));
    const { kernel } = timeline.session;
    const task = [...kernel.tasks.values()].filter(({ hasMm }) => hasMm).sort((a, b) => b.mm.rss.swapEntries - a.mm.rss.swapEntries)[0]!;
    const before = timeline.session.stateHash();
    for (const { start, end } of [...task.mm.vmas]) {
      for (let va = start; va < end; va += PAGE_SIZE) {
        const low = task.mm.tables.get(va / PAGE_SIZE);
        // Only some of those that are nowhere special.
        const isSwapped = isSwapPte(low) && kernel.system.swap.infoOf(entryOfPte(low)) !== null;
        if (!isSwapped && (va / PAGE_SIZE) % 8 !== 0) continue;
        const seen = memoryAt(task.mm, va, PAGE_SIZE);
        expect(seen.length, `page ${va.toString(16)}`).toBe(PAGE_SIZE);
        const given = new Uint8Array(PAGE_SIZE);
        const nr = (va / PAGE_SIZE) % 16 === 0 || (isSwapped && swapped % 8 === 0) ? timeline.ask(() => accessRemoteVm(task.mm, task, va, given, false, true)) : 0;
        if (nr === PAGE_SIZE) {
          expect(Buffer.compare(seen, given), `page ${va.toString(16)} at instruction ${instret}`).toBe(0);
          pages++;
        }
        if (isSwapped) swapped++;
      }
    }
    expect(timeline.session.stateHash()).toBe(before);
  }
  expect(pages).toBeGreaterThan(50);
  expect(swapped).toBeGreaterThan(50);
  timeline.close();
});
