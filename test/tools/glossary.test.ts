import { describe, expect, it } from 'vitest';
import { glossary, lookUp } from '#tools/glossary.ts';

const entries = glossary();

describe('quire explain', () => {
  it('knows what counts swap: lines of /proc/vmstat, files of the sizes, fields of the report', () => {
    expect(lookUp('zswpout', entries).map(({ topic }) => topic)).toEqual(['vmstat', 'thp']);
    for (const name of ['zswpin', 'zswpwb', 'nr_swapcached', 'swpout', 'swpout_fallback', 'swpin', 'swap.outPages']) expect(lookUp(name, entries), name).toHaveLength(1);
  });
  it('knows the files of memory groups, by their whole names and their last parts', () => {
    for (const name of ['memory.zswap.current', 'memory.zswap.max', 'memory.zswap.writeback', 'memory.swap.high', 'memory.swap.events', 'writeback', 'cgroup.procs']) expect(lookUp(name, entries).filter(({ topic }) => topic === 'groups'), name).toHaveLength(1);
    expect(lookUp('memory.zswap.writeback', entries)[0]!.text).toContain('stays in memory');
  });
  it('knows the switches of swap, by their whole names and their last parts', () => {
    expect(lookUp('zswap.enabled', entries)).toHaveLength(1);
    for (const name of ['max_pool_percent', 'accept_threshold_percent', 'shrinker_enabled', 'compressor', 'vma_ra_enabled', 'page_cluster', 'swappiness']) expect(lookUp(name, entries), name).toHaveLength(1);
    expect(lookUp('--swap', entries)[0]!.text).toContain('4G');
  });
});
