// /sys: the transparent_hugepage tree, disks and the processors. Here: which files there are and whom they ask. Not here: the settings themselves
// (mm/thp.ts). Files of what is not modelled are absent.
import { PAGE_SIZE } from '#base';
import type { BlockDevice } from '../block/device.ts';
import { SECTOR_BYTES } from '../block/bio.ts';
import { lruGenCommands, lruGenEnabled, lruGenText, setLruGenEnabled, setMinTtl } from '../mm/reclaim/lru-gen-files.ts';
import { splitHugePages } from '../mm/split-huge-pages.ts';
import { COMPRESSOR } from '../mm/swap/zswap.ts';
import type { Zswap } from '../mm/swap/zswap.ts';
import { tunables } from '../params.ts';
import { Errno } from '../syscall/errno.ts';
import { Dentry } from './dentry.ts';
import { tunableFile } from './procfs/sysctl.ts';
import { extfragIndex, unusableIndex } from './procfs/zones.ts';
import { parseBool, parseNumber, PseudoDirectory, PseudoFs, putText, type TextRow } from './pseudo.ts';
import type { KernelView } from './view.ts';

const SYSFS_MAGIC = 0x62656572;

export function makeSysfs(view: KernelView): Dentry {
  const fs = new PseudoFs(view, 'sysfs', SYSFS_MAGIC, 4);
  const root = new PseudoDirectory();
  const rootInode = fs.directory(0o555, root, 1);
  // Where control groups are mounted.
  const fsFolder = new PseudoDirectory();
  fsFolder.put('cgroup', fs.directory(0o755, new PseudoDirectory()));
  fsFolder.keep('cgroup');
  root.put('fs', fs.directory(0o755, fsFolder));
  root.keep('fs');
  const { thp } = view.system;
  for (const path of thp.paths()) {
    const row: TextRow<string> = {
      mode: thp.isWritable(path) ? 0o644 : 0o444,
      show: (name) => thp.get(name) ?? -Errno.ENOENT,
      store: (name, text) => thp.set(name, text),
    };
    putText(fs, root, `kernel/mm/transparent_hugepage/${path}`, row, path);
  }
  for (const tunable of tunables) {
    if (tunable.path?.startsWith('/sys/')) putText(fs, root, tunable.path.slice('/sys/'.length), tunableFile(view, tunable), null);
  }
  putText(fs, root, 'kernel/debug/extfrag/extfrag_index', { mode: 0o444, show: () => extfragIndex(view.system) }, null);
  putText(fs, root, 'kernel/debug/extfrag/unusable_index', { mode: 0o444, show: () => unusableIndex(view.system) }, null);
  putText(fs, root, 'kernel/mm/lru_gen/min_ttl_ms', { mode: 0o644, show: () => `${view.system.lruGen.minTtlMs}\n`, store: (_subject, words) => setMinTtl(view.system, words) }, null);
  putText(fs, root, 'kernel/mm/lru_gen/enabled', { mode: 0o644, show: () => lruGenEnabled(view.system), store: (_subject, words) => setLruGenEnabled(view.system, words) }, null);
  putText(fs, root, 'kernel/debug/lru_gen', { mode: 0o644, show: () => lruGenText(view.system, false), store: (_subject, words) => lruGenCommands(view.system, words) }, null);
  putText(fs, root, 'kernel/debug/lru_gen_full', { mode: 0o444, show: () => lruGenText(view.system, true) }, null);
  const splitByHand: TextRow<null> = {
    mode: 0o200,
    store: (_subject, words) => splitHugePages(view.system, words, (pid) => {
      const task = view.tasks.get(pid);
      return task === undefined ? undefined : task.hasMm ? task.mm : null;
    }),
  };
  putText(fs, root, 'kernel/debug/split_huge_pages', splitByHand, null);
  // Ours. 1 begins a pass, whether enabled or not.
  const { accessSplit } = view.system;
  putText(fs, root, 'kernel/mm/quire/access_split/scan', {
    mode: 0o200,
    store(_subject, words) {
      if (parseNumber(words) !== 1) return -Errno.EINVAL;
      accessSplit.watch();
      return 0;
    },
  }, null);
  const { collapseHistory } = view.system;
  for (const name of Object.keys(collapseHistory.counts) as (keyof typeof collapseHistory.counts)[]) {
    putText(fs, root, `kernel/mm/quire/collapse/${name}`, { mode: 0o444, show: () => `${collapseHistory.counts[name]}\n` }, null);
  }
  for (const name of Object.keys(accessSplit.counts) as (keyof typeof accessSplit.counts)[]) {
    putText(fs, root, `kernel/mm/quire/access_split/${name}`, { mode: 0o444, show: () => `${accessSplit.counts[name]}\n` }, null);
  }
  const { ra } = view.system.swap.cache;
  putText(fs, root, 'kernel/mm/swap/vma_ra_enabled', {
    mode: 0o644,
    show: () => `${ra.vmaEnabled}\n`,
    store(_subject, words) {
      const isOn = parseBool(words);
      if (isOn === null) return -Errno.EINVAL;
      ra.vmaEnabled = isOn;
      return 0;
    },
  }, null);
  putZswap(fs, root, view.system.swap.zswap);
  const text = (words: string): TextRow<null> => ({ mode: 0o444, show: () => `${words}\n` });
  for (const disk of view.system.disks) putDisk(fs, root, disk);
  for (const name of ['online', 'possible', 'present']) putText(fs, root, `devices/system/cpu/${name}`, text('0'), null);
  putText(fs, root, 'devices/system/cpu/offline', text(''), null);
  putText(fs, root, 'devices/system/cpu/kernel_max', text('63'), null);
  putText(fs, root, 'devices/system/cpu/cpu0/topology/core_id', text('0'), null);
  putText(fs, root, 'devices/system/cpu/cpu0/topology/physical_package_id', text('0'), null);
  putText(fs, root, 'devices/system/node/online', text('0'), null);
  putText(fs, root, 'devices/system/node/possible', text('0'), null);
  return new Dentry('', null, rootInode);
}

/** /sys/module/zswap/parameters, and its counts where debugfs has them. */
function putZswap(fs: PseudoFs, root: PseudoDirectory, zswap: Zswap): void {
  const { params } = zswap;
  const put = (name: string, row: TextRow<null>): void => { putText(fs, root, `module/zswap/parameters/${name}`, row, null); };
  for (const name of ['enabled', 'shrinker_enabled'] as const) {
    put(name, {
      mode: 0o644,
      show: () => (params[name] ? 'Y\n' : 'N\n'),
      store(_subject, words) {
        const isOn = parseBool(words);
        if (isOn === null) return -Errno.EINVAL;
        params[name] = isOn;
        return 0;
      },
    });
  }
  for (const name of ['max_pool_percent', 'accept_threshold_percent'] as const) {
    put(name, {
      mode: 0o644,
      show: () => `${params[name]}\n`,
      store(_subject, words) {
        const n = parseNumber(words);
        if (n === null || n < 0 || n > 100) return -Errno.EINVAL;
        params[name] = n;
        return 0;
      },
    });
  }
  // There is one, by our own name: another cannot be had.
  put('compressor', { mode: 0o644, show: () => `${COMPRESSOR}\n`, store: (_subject, words) => (words.trim() === COMPRESSOR ? 0 : -Errno.ENOENT) });
  const debug = (name: string, show: () => number): void => { putText(fs, root, `kernel/debug/zswap/${name}`, { mode: 0o444, show: () => `${show()}\n` }, null); };
  for (const name of Object.keys(zswap.counts) as (keyof typeof zswap.counts)[]) debug(name, () => zswap.counts[name]);
  debug('pool_total_size', () => zswap.poolPages * PAGE_SIZE);
  debug('stored_pages', () => zswap.storedPages);
}

/** /sys/block/vda: what is known of a disk, and what its queue allows. Mirrors queue_attrs[] (block/blk-sysfs.c). */
function putDisk(fs: PseudoFs, root: PseudoDirectory, disk: BlockDevice): void {
  const { limits, latency, name } = disk;
  const put = (path: string, show: () => string | number, store?: (n: number) => number): void => {
    const row: TextRow<null> = { mode: store === undefined ? 0o444 : 0o644, show: () => `${show()}\n` };
    putText(fs, root, `block/${name}/${path}`, store === undefined ? row : { ...row, store: (_s, text) => storeNumber(text, store) }, null);
  };
  put('dev', () => `${disk.major}:${disk.minor}`);
  put('size', () => disk.nrSectors);
  put('ro', () => (disk.isReadOnly ? 1 : 0));
  put('removable', () => 0);
  putText(fs, root, `block/${name}/stat`, { mode: 0o444, show: () => disk.statText() }, null);
  put('queue/logical_block_size', () => SECTOR_BYTES);
  put('queue/physical_block_size', () => SECTOR_BYTES);
  put('queue/rotational', () => (latency.fullSeekNs > 0 ? 1 : 0));
  put('queue/scheduler', () => (latency.synchronous !== 0 ? 'none' : latency.fullSeekNs > 0 ? '[mq-deadline] none' : '[none] mq-deadline'));
  put('queue/nr_requests', () => latency.queueDepth);
  put('queue/max_segments', () => limits.maxSegments);
  put('queue/max_hw_sectors_kb', () => limits.maxHwSectorsKb);
  // At least a page, at most what the hardware takes (queue_max_sectors_store).
  put('queue/max_sectors_kb', () => limits.maxSectorsKb, (kb) => {
    if (kb < 4 || kb > limits.maxHwSectorsKb) return -Errno.EINVAL;
    limits.maxSectorsKb = kb;
    return 0;
  });
  put('queue/read_ahead_kb', () => limits.readAheadKb, (kb) => {
    limits.readAheadKb = kb - (kb % 4);
    return 0;
  });
}
function storeNumber(text: string, store: (n: number) => number): number {
  const n = parseNumber(text);
  return n === null || n < 0 ? -Errno.EINVAL : store(n);
}
