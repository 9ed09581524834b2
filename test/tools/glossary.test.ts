import { describe, expect, it } from 'vitest';
import { tracepoints } from '#base';
import { reasonCodes, VmStat } from '#kernel';
import { adviceOn, advisedTopics } from '#tools/advice.ts';
import { cacheFields } from '#tools/cache.ts';
import { eventInLinux, eventMeanings } from '#tools/event-meanings.ts';
import { glossary, lookUp, thpMeanings } from '#tools/glossary.ts';
import { lruFields } from '#tools/lru.ts';
import { statFields } from '#tools/schema.ts';

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

  const namesOf = (topic: string): string[] => entries.filter((e) => e.topic === topic).map(({ name }) => name);
  it('has every reason, counter, tracepoint and field of a report', () => {
    const ofAll = new Set(['schema', 'tool', 'config', 'program']);
    expect(namesOf('reasons')).toEqual(reasonCodes);
    expect(namesOf('vmstat')).toEqual(new VmStat().entries().map(([name]) => name));
    expect(namesOf('thp')).toEqual(Object.keys(thpMeanings));
    expect(namesOf('events')).toEqual([...tracepoints().values()].map(({ system, name }) => `${system}:${name}`));
    expect(namesOf('counters')).toEqual(statFields.map(([path]) => path));
    expect(namesOf('cache')).toEqual(cacheFields.map(([path]) => path).filter((path) => !ofAll.has(path)));
    expect(namesOf('lists')).toEqual(lruFields.map(([path]) => path).filter((path) => !ofAll.has(path)));
  });
  it('says of each of them what it means, what Linux has in its place, and what to try', () => {
    const isSaid = (text: string | undefined): boolean => text !== undefined && text.trim().length >= 4 && !/undefined|not described/.test(text);
    const without = entries.filter((e) => advisedTopics.includes(e.topic) && !(isSaid(e.text) && isSaid(e.linux) && isSaid(e.advice))).map(({ topic, name }) => `${topic} ${name}`);
    expect(without).toEqual([]);
    expect(new Set(advisedTopics)).toEqual(new Set(['counters', 'cache', 'lists', 'vmstat', 'thp', 'groups', 'reasons', 'events']));
    // Reasons are read in the middle of a report: whole sentences.
    for (const { name, text, advice } of entries.filter((e) => e.topic === 'reasons')) expect(`${name}: ${text} ${advice}`).toMatch(/^[\w-]+: .*[.] .*[.]$/);
  });
  it('describes no event that there is not, and would notice a new one', () => {
    expect(Object.keys(eventMeanings).filter((name) => !tracepoints().has(name))).toEqual([]);
    expect([eventMeanings['mm_no_such_event'], eventInLinux('quire', 'no_such_event'), eventInLinux('no_such_system', 'x'), adviceOn('vmstat', 'no_such_counter')]).toEqual([undefined, null, null, null]);
  });
});
