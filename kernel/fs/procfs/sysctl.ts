// /proc/sys: settings by name. Here: which there are, how a write is judged. The numbers live in params.ts, which names the paths of those
// that Linux shows. Mirrors kernel/sysctl.c: a number outside its range is EINVAL, a read-only entry cannot be opened for writing.
import { VmItem } from '../../mm/events.ts';
import { invalidateMapping } from '../../mm/truncate.ts';
import { setTunable, tunables, type TunableRow } from '../../params.ts';
import { Errno } from '../../syscall/errno.ts';
import { UTS } from '../../syscall/misc.ts';
import { PIPE_MAX_BYTES } from '../pipe.ts';
import { parseNumber, type TextRow } from '../pseudo.ts';
import type { Vfs } from '../vfs.ts';
import type { KernelView } from '../view.ts';

/** By path below /proc/sys. */
export function sysctlRows(view: KernelView, vfs: Vfs): Readonly<Record<string, TextRow<null>>> {
  const rows: Record<string, TextRow<null>> = {};
  for (const row of tunables) if (row.path?.startsWith('/proc/sys/')) rows[row.path.slice('/proc/sys/'.length)] = tunableFile(view, row);
  const text = (show: () => string): TextRow<null> => ({ mode: 0o444, show: () => `${show()}\n` });
  /** A fact of this machine behind a switch of Linux: only what is so may be written. */
  const fact = (value: number): TextRow<null> => ({ mode: 0o644, show: () => `${value}\n`, store: (_s, word) => (parseNumber(word) === value ? 0 : -Errno.EINVAL) });
  return {
    ...rows,
    'fs/file-max': { ...tunableOf(() => vfs.registry.maxFiles, (n) => { vfs.registry.maxFiles = n; }, 64, 2 ** 31) },
    'fs/file-nr': text(() => `${vfs.registry.nrOpen}\t0\t${vfs.registry.maxFiles}`),
    'fs/nr_open': text(() => '1048576'),
    'fs/pipe-max-size': text(() => `${PIPE_MAX_BYTES}`),
    'kernel/cap_last_cap': text(() => '40'),
    'kernel/domainname': text(() => view.domainname),
    'kernel/hostname': text(() => view.hostname),
    'kernel/osrelease': text(() => UTS.release),
    'kernel/ostype': text(() => UTS.sysname),
    'kernel/randomize_va_space': fact(0),
    'kernel/shmall': bigTunable(() => view.shm.maxPages, (n) => { view.shm.maxPages = n; }),
    'kernel/shmmax': bigTunable(() => view.shm.maxBytes, (n) => { view.shm.maxBytes = n; }),
    'kernel/tainted': text(() => '0'),
    'kernel/threads-max': text(() => `${view.maxTasks}`),
    'vm/panic_on_oom': fact(0),
    'kernel/version': text(() => UTS.version),
    // 1, and nothing else, compacts all of memory.
    'vm/compact_memory': {
      mode: 0o200,
      store(_s, word) {
        if (parseNumber(word) !== 1) return -Errno.EINVAL;
        view.system.compaction.everything();
        return 0;
      },
    },
    // 1 drops clean pages of disks (those of tmpfs are not dropped by Linux either); 2, objects of the kernel's, of which none are kept.
    'vm/drop_caches': {
      mode: 0o200,
      store(_s, word) {
        const n = parseNumber(word);
        const error = inRange(n, 1, 4);
        if (error !== 0) return error;
        const { addressSpaces, vmstat } = view.system;
        if ((n! & 1) !== 0) {
          for (const space of [...addressSpaces.values()]) invalidateMapping(space, 0, Infinity);
          vmstat.add(VmItem.drop_pagecache, 1);
        }
        if ((n! & 2) !== 0) vmstat.add(VmItem.drop_slab, 1);
        return 0;
      },
    },
  };
}

/** The file of one tunable, also used below /sys. */
export function tunableFile(view: KernelView, row: TunableRow): TextRow<null> {
  const { params } = view;
  const name = row.name as keyof typeof params.vm;
  return tunableOf(() => params.vm[name], (n) => {
    setTunable(params, name, n);
    // One limit in two units: the last one written counts (overcommit_ratio_handler, dirty_ratio_handler and their sisters).
    if (name === 'overcommit_ratio') params.vm.overcommit_kbytes = 0;
    if (name === 'overcommit_kbytes') params.vm.overcommit_ratio = 0;
    if (name === 'dirty_writeback_centisecs') view.system.writeback.intervalChanged();
    if (name === 'dirty_ratio') params.vm.dirty_bytes = 0;
    if (name === 'dirty_bytes') params.vm.dirty_ratio = 0;
    if (name === 'dirty_background_ratio') params.vm.dirty_background_bytes = 0;
    if (name === 'dirty_background_bytes') params.vm.dirty_background_ratio = 0;
    if (name === 'compaction_proactiveness') view.system.kcompactd.proactivenessChanged();
    if (name === 'min_free_kbytes' || name === 'watermark_scale_factor') view.system.setupWatermarks();
  }, row.min, row.max, row.only);
}
function tunableOf(get: () => number, set: (n: number) => void, min: number, max: number, only?: readonly number[]): TextRow<null> {
  return {
    mode: 0o644,
    show: () => `${get()}\n`,
    store(_subject, text) {
      const n = parseNumber(text);
      const error = n !== null && only?.includes(n) === false ? -Errno.EINVAL : inRange(n, min, max);
      if (error === 0) set(n!);
      return error;
    },
  };
}
/** An unsigned long that may be more than a number holds. */
function bigTunable(get: () => bigint, set: (n: bigint) => void): TextRow<null> {
  return {
    mode: 0o644,
    show: () => `${get()}\n`,
    store(_subject, text) {
      if (!/^\s*[0-9]{1,20}\s*$/.test(text) || BigInt(text.trim()) >= 2n ** 64n) return -Errno.EINVAL;
      set(BigInt(text.trim()));
      return 0;
    },
  };
}
const inRange = (n: number | null, min: number, max: number): number => (n !== null && n >= min && n <= max ? 0 : -Errno.EINVAL);
