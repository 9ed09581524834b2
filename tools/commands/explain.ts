// quire explain NAME: what a counter, option, preset, cost, reason, system call or event means. Its answers stand in the tables (glossary.ts).
import { UserError } from '#base';
import { glossary, lookUp, topicNamed, topics, type Entry, type Topic } from '../glossary.ts';
import { commandHelp } from '../help-text.ts';
import { writeOut, writeResult } from '../host.ts';
import { parseCommandLine } from '../options.ts';
import { didYouMean } from '../suggest.ts';
import type { Command } from './command.ts';

export const explain: Command = {
  name: 'explain',
  usage: '[NAME | TOPIC]',
  summary: 'what a counter, option, preset, cost, reason, system call or event means',
  details: `Topics:\n${Object.entries(topics).map(([topic, what]) => `  ${topic.padEnd(12)}${what}`).join('\n')}`,
  groups: ['result'],
  raw: true,
  run({ rest: words }) {
    // The name may look like an option: it is what is not one of this command's own.
    const at = words.findIndex((word, i) => !/^(--json|--help|-h|-o.*|--output(=.*)?)$/.test(word) && !/^(-o|--output)$/.test(words[i - 1] ?? ''));
    const word = at < 0 ? undefined : words[at];
    const { values } = parseCommandLine('explain', ['result'], words.filter((_, i) => i !== at));
    if (values.help) {
      writeOut(1, commandHelp(explain));
      return 0;
    }
    const entries = glossary();
    const topic = word === undefined ? undefined : topicNamed(word);
    const named = word === undefined || word === topic ? [] : lookUp(word, entries);
    const found = [...named, ...entries.filter((e) => e.topic === topic && !named.includes(e))];
    if (word === undefined) {
      writeResult(`${Object.entries(topics).map(([topic, what]) => `  ${topic.padEnd(12)}${what}`).join('\n')}\n\nWrite quire explain TOPIC for all of them, or quire explain NAME for one.\n`, values.output);
      return 0;
    }
    if (found.length === 0) {
      const names = entries.flatMap((e) => [e.name, e.name.split(/[.:]/).at(-1)!]);
      throw new UserError(`explain ${word}: nothing has this name.${didYouMean(word, [...names, ...Object.keys(topics)])} quire explain lists the topics.`);
    }
    writeResult(values.json ? `${JSON.stringify(found, null, 2)}\n` : found.map((e) => entryText(e, !named.includes(e))).join(''), values.output);
    return 0;
  },
};

const kinds: Readonly<Record<Topic, string>> = {
  counters: 'report', cache: 'report of mm cache', lists: 'report of mm lru', vmstat: '/proc/vmstat', thp: 'hugepages-<size>kB/stats', groups: '/sys/fs/cgroup', options: 'option', presets: 'preset', policies: 'reclaim policy', engines: 'engine', costs: 'cost', tunables: 'tunable',
  reasons: 'reason', syscalls: 'system call', events: 'tracepoint', formats: 'format of traces', sanitizers: 'sanitizer', status: 'exit status',
};
const entryText = (e: Entry, inList: boolean): string => (inList ? `  ${e.name.padEnd(30)}  ${e.text}\n` : `${e.name} (${kinds[e.topic]})\n  ${e.text}\n${e.linux === undefined ? '' : `  Linux: ${e.linux}\n`}${e.advice === undefined ? '' : `  Try: ${e.advice}\n`}`);
