// How long a disk takes. Here: what its time is made of, four presets with their sources, one field changed by name. Not here: the queue
// (device.ts). One clock cycle is a nanosecond.
//
//   a request   |-- access: readNs or writeNs, with seek and half a turn where there is an arm --|-- transfer: bytes / rate --|
//   channels    so many requests are in their access at once; their transfers share one link, in the order of issue
import { UserError } from '#base';

/** Times in nanoseconds, rates in bytes a second. */
export interface DiskLatency {
  readonly name: string;
  /** From the start of a request to its first byte. */
  readonly readNs: number;
  readonly writeNs: number;
  readonly flushNs: number;
  readonly discardNs: number;
  readonly readBytesPerSecond: number;
  readonly writeBytesPerSecond: number;
  /** Requests that the device works on at once. */
  readonly channels: number;
  /** nr_requests: how many it takes. */
  readonly queueDepth: number;
  /** An arm moves: 0, or the time for the shortest and the longest way, and for half a turn. A request that begins where the last one ended
   *  needs neither. In between the way's time grows with its square root, and the image is the whole disk, so that a random way takes
   *  trackSeekNs + 8/15 of the difference on average. */
  readonly trackSeekNs: number;
  readonly fullSeekNs: number;
  readonly halfTurnNs: number;
  /** 1: the processor moves the bytes itself, and a request has ended when it was given (BLK_FEAT_SYNCHRONOUS); 0: the device does. */
  readonly synchronous: number;
  /** Where the figures are from. */
  readonly source: string;
}

/** Random figures of data sheets are for 4096 bytes: a preset's access time is that of one such request alone, less its transfer. */
const accessNs = (iops: number, bytesPerSecond: number): number => Math.round(1e9 / iops - (4096 * 1e9) / bytesPerSecond);

export const diskPresets: readonly DiskLatency[] = [
  {
    name: 'nvme', readNs: accessNs(19_000, 3.5e9), writeNs: accessNs(60_000, 3.2e9), flushNs: 500_000, discardNs: 100_000, readBytesPerSecond: 3.5e9, writeBytesPerSecond: 3.2e9,
    channels: 25, queueDepth: 1023, trackSeekNs: 0, fullSeekNs: 0, halfTurnNs: 0, synchronous: 0,
    source: 'Samsung 970 EVO Plus 500 GB, data sheet: 3500 and 3200 MB/s; one 4 KiB read at a time 19,000 a second, one write 60,000; 32 at a time 480,000 reads, which is 25 channels; flush and discard assumed',
  },
  {
    name: 'sata-ssd', readNs: accessNs(13_000, 5.6e8), writeNs: accessNs(36_000, 5.3e8), flushNs: 1_000_000, discardNs: 500_000, readBytesPerSecond: 5.6e8, writeBytesPerSecond: 5.3e8,
    channels: 8, queueDepth: 32, trackSeekNs: 0, fullSeekNs: 0, halfTurnNs: 0, synchronous: 0,
    source: 'Samsung 870 EVO, data sheet: 560 and 530 MB/s; one 4 KiB read at a time 13,000 a second, one write 36,000; 32 at a time 98,000 reads, which is 8 channels; flush and discard assumed',
  },
  {
    name: 'hdd', readNs: 100_000, writeNs: 100_000, flushNs: 8_330_000, discardNs: 100_000, readBytesPerSecond: 1.75e8, writeBytesPerSecond: 1.75e8,
    channels: 1, queueDepth: 32, trackSeekNs: 1_000_000, fullSeekNs: 15_000_000, halfTurnNs: 4_160_000, synchronous: 0,
    source: 'Seagate Constellation ES.3, product manual: 7200 turns a minute (half a turn 4.16 ms), 175 MB/s; way of the arm for an average seek of 8.5 ms; a flush is one turn; overhead of a request assumed',
  },
  {
    name: 'pmem', readNs: 305, writeNs: 90, flushNs: 90, discardNs: 90, readBytesPerSecond: 6.6e9, writeBytesPerSecond: 2.3e9,
    channels: 1, queueDepth: 1, trackSeekNs: 0, fullSeekNs: 0, halfTurnNs: 0, synchronous: 1,
    source: 'Optane DC persistent memory as a disk; Izraelevitz and others, arXiv 1903.05714: 305 ns for a random load, 90 ns for a store, 6.6 and 2.3 GB/s for one module; flush and discard assumed',
  },
];

/** `PRESET[,FIELD=NUMBER...]`, as in nvme or hdd,fullSeekNs=20000000. @param option whose value it is @throws UserError */
export function parseLatency(text: string, option = '--disk-latency'): DiskLatency {
  const [name = '', ...changes] = text.split(',');
  const preset = diskPresets.find((row) => row.name === name);
  if (preset === undefined) throw new UserError(`${option} ${name}: no such preset. There are: ${diskPresets.map((row) => row.name).join(', ')}.`);
  const latency: Record<string, unknown> = { ...preset };
  for (const change of changes) {
    const [field = '', value = ''] = change.split('=');
    const fields = Object.keys(preset).filter((key) => key !== 'name' && key !== 'source');
    if (!fields.includes(field)) throw new UserError(`${option} ${text}: ${field} is none of a disk's figures. They are: ${fields.join(', ')}.`);
    const number = value === '' ? NaN : Number(value);
    const least = field.endsWith('Ns') || field === 'synchronous' ? 0 : 1;
    const isWhole = Number.isInteger(number) || field.endsWith('Second');
    if (!Number.isFinite(number) || number < least || !isWhole) throw new UserError(`${option} ${text}: ${field} is a number from ${least} up, as in ${field}=${preset[field as keyof DiskLatency]}.`);
    latency[field] = number;
    latency.name = `${name}, changed`;
  }
  return latency as unknown as DiskLatency;
}

/** How long the arm takes from one sector to another, half a turn included; 0 where it need not move. */
export function seekNs(latency: DiskLatency, from: number, to: number, nrSectors: number): number {
  if (from === to || latency.fullSeekNs === 0) return 0;
  const way = Math.sqrt(Math.abs(to - from) / nrSectors);
  return Math.round(latency.trackSeekNs + (latency.fullSeekNs - latency.trackSeekNs) * way) + latency.halfTurnNs;
}
