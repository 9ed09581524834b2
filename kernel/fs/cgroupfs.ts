// /sys/fs/cgroup: memory control groups as directories, the root's and one level below it. Here: the files and what may be written to them, mkdir and
// rmdir. Not here: the groups (mm/memcg.ts). Mirrors mm/memcontrol.c's memory_files[] and kernel/cgroup/cgroup.c's base files, 6.18, version 2.
// Only the memory controller is there, and it is always on: cgroup.subtree_control takes '+memory' for what is so already.
import { PAGE_SIZE, parseSize } from '#base';
import { memcgEvents } from '../mm/memcg.ts';
import type { MemCgroup } from '../mm/memcg.ts';
import { memcgStat } from '../mm/memcg-stat.ts';
import { MAX_SWAPPINESS, SWAPPINESS_ANON_ONLY } from '../mm/reclaim/scan.ts';
import type { Process } from '../proc/process.ts';
import { Errno } from '../syscall/errno.ts';
import { Dentry } from './dentry.ts';
import { FileType, Inode } from './inode.ts';
import type { DirEntry, Directory } from './inode.ts';
import { PseudoFs, parseNumber } from './pseudo.ts';
import type { TextRow } from './pseudo.ts';
import { FIRST_POSITION } from './tmpfs.ts';
import type { KernelView } from './view.ts';

const CGROUP2_SUPER_MAGIC = 0x63677270;
const line = (text: string | number): string => `${text}\n`;
const limit = (pages: number): string => line(pages === Infinity ? 'max' : pages * PAGE_SIZE);
/** A number of bytes, with K, M, G if one likes, or 'max': page_counter_memparse(). null: neither */
function pagesOf(text: string): number | null {
  const word = text.trim();
  if (word === 'max') return Infinity;
  const bytes = parseSize(word.toUpperCase());
  return bytes === null ? null : Math.floor(bytes / PAGE_SIZE);
}
interface Subject { readonly view: KernelView; readonly group: MemCgroup }
type Row = TextRow<Subject>;

/** Takes a limit. @param after what follows, once it is in force */
const limitFile = (key: 'min' | 'low' | 'high' | 'max' | 'swapMax' | 'swapHigh' | 'zswapMax', after: (subject: Subject) => void = () => {}): Row => ({
  mode: 0o644,
  show: ({ group }) => limit(group[key]),
  store(subject, text) {
    const pages = pagesOf(text);
    if (pages === null) return -Errno.EINVAL;
    subject.group[key] = pages;
    after(subject);
    return 0;
  },
});
/** Takes 0 or 1. */
const switchFile = (key: 'oomGroup' | 'zswapWriteback'): Row => ({
  mode: 0o644,
  show: ({ group }) => line(group[key] ? 1 : 0),
  store({ group }, text) {
    const n = parseNumber(text);
    if (n !== 0 && n !== 1) return -Errno.EINVAL;
    group[key] = n === 1;
    return 0;
  },
});
/** A lower limit is reached by reclaim, at once. memory_max_write(), memory_high_write() */
function shrinkTo(group: MemCgroup, pages: number): void {
  const { memcg, vmscan } = group.system;
  memcg.drainStock(group);
  for (let tries = 5; group.usage > pages && tries > 0; ) if (vmscan.reclaimGroup(group, group.usage - pages, true) === 0) tries--;
}

const groupRows = {
  'cgroup.controllers': { mode: 0o444, show: () => line('memory') },
  'cgroup.events': { mode: 0o444, show: ({ view, group }) => `populated ${members(view, group).length > 0 ? 1 : 0}\nfrozen 0\n` },
  'cgroup.kill': {
    mode: 0o200,
    store({ view, group }, text) {
      if (parseNumber(text) !== 1) return -Errno.EINVAL;
      for (const p of members(view, group)) view.killProcess(p);
      return 0;
    },
  },
  'cgroup.procs': {
    mode: 0o644,
    show: ({ view, group }) => members(view, group).map(({ tgid }) => line(tgid)).join(''),
    store: ({ view, group }, text, writer) => move(view, group, text, writer?.process ?? null),
  },
  'cgroup.subtree_control': { mode: 0o644, show: ({ group }) => line(group.isRoot ? 'memory' : ''), store: ({ group }, text) => (/^\s*([+-]memory\s*)*$/.test(text) ? (group.isRoot || text.trim() === '' ? 0 : -Errno.EBUSY) : -Errno.EINVAL) },
  'cgroup.type': { mode: 0o444, show: () => line('domain') },
  'memory.current': { mode: 0o444, show: ({ group }) => line(group.usage * PAGE_SIZE) },
  'memory.events': { mode: 0o444, show: ({ group }) => memcgEvents.map((name) => line(`${name} ${group.events[name]}`)).join('') },
  'memory.events.local': { mode: 0o444, show: ({ group }) => memcgEvents.map((name) => line(`${name} ${group.events[name]}`)).join('') },
  'memory.high': limitFile('high', ({ group }) => { shrinkTo(group, group.high); }),
  'memory.low': limitFile('low'),
  // What cannot be reclaimed is killed for on Linux, at once; here when the group asks for the next page.
  'memory.max': limitFile('max', ({ group }) => { shrinkTo(group, group.max); }),
  'memory.min': limitFile('min'),
  'memory.numa_stat': { mode: 0o444, show: ({ group }) => memcgStat(group).filter(([name]) => numaNames.has(name)).map(([name, value]) => line(`${name} N0=${value}`)).join('') },
  'memory.oom.group': switchFile('oomGroup'),
  'memory.peak': { mode: 0o644, show: ({ group }) => line(group.peak * PAGE_SIZE), store: ({ group }) => { group.peak = group.usage; return 0; } },
  'memory.reclaim': { mode: 0o200, store: ({ group }, text) => reclaim(group, text) },
  'memory.stat': { mode: 0o444, show: ({ group }) => memcgStat(group).map(([name, value]) => line(`${name} ${value}`)).join('') },
  'memory.swap.current': { mode: 0o444, show: ({ group }) => line(group.swapUsage * PAGE_SIZE) },
  'memory.swap.events': { mode: 0o444, show: ({ group }) => `high ${group.swapEvents.high}\nmax ${group.swapEvents.max}\nfail ${group.swapEvents.fail}\n` },
  'memory.swap.high': limitFile('swapHigh'),
  'memory.swap.max': limitFile('swapMax'),
  'memory.swap.peak': { mode: 0o444, show: ({ group }) => line(group.swapPeak * PAGE_SIZE) },
  'memory.zswap.current': { mode: 0o444, show: ({ group }) => line(group.zswapBytes) },
  'memory.zswap.max': limitFile('zswapMax'),
  'memory.zswap.writeback': switchFile('zswapWriteback'),
} satisfies Record<string, Row>;
/** The files of a group's directory. */
export type GroupFile = keyof typeof groupRows;
const numaNames = new Set(['anon', 'file', 'pagetables', 'shmem', 'file_mapped', 'file_dirty', 'file_writeback', 'swapcached', 'anon_thp', 'file_thp', 'shmem_thp', 'inactive_anon', 'active_anon', 'inactive_file', 'active_file',
  'unevictable', 'workingset_refault_anon', 'workingset_refault_file', 'workingset_activate_anon', 'workingset_activate_file', 'workingset_restore_anon', 'workingset_restore_file', 'workingset_nodereclaim']);
/** The root has no limits, and is not accounted as a whole. */
const rootNames = new Set(['cgroup.controllers', 'cgroup.procs', 'cgroup.subtree_control', 'memory.numa_stat', 'memory.reclaim', 'memory.stat', 'memory.zswap.writeback']);

const members = (view: KernelView, group: MemCgroup): Process[] => [...view.processes.values()].filter((p) => !p.isZombie && p.group === group);

/** A process moves; what it has been charged for stays with its old group. @param text its number; 0: the writer's own */
function move(view: KernelView, group: MemCgroup, text: string, writer: Process | null): number {
  const pid = parseNumber(text);
  if (pid === null || pid < 0) return -Errno.EINVAL;
  const process = pid === 0 ? writer : (view.tasks.get(pid)?.process ?? null);
  if (process === null || process.isZombie) return -Errno.ESRCH;
  process.group = group;
  for (const t of process.threads) if (t.hasMm) t.mm.group = group;
  if (writer === process) group.system.memcg.active = group;
  return 0;
}
/** 'SIZE [swappiness=N|max]': try_to_free as much, or EAGAIN. memory_reclaim() */
function reclaim(group: MemCgroup, text: string): number {
  const [size = '', ...options] = text.trim().split(/\s+/);
  const pages = pagesOf(size);
  if (pages === null || pages === Infinity) return -Errno.EINVAL;
  let swappiness: number | null = null;
  for (const option of options) {
    const match = /^swappiness=(max|[0-9]{1,3})$/.exec(option);
    if (match === null) return -Errno.EINVAL;
    swappiness = match[1] === 'max' ? SWAPPINESS_ANON_ONLY : Number(match[1]);
    if (swappiness > MAX_SWAPPINESS && match[1] !== 'max') return -Errno.EINVAL;
  }
  let freed = 0;
  for (let retries = 16; freed < pages; ) {
    const more = group.system.vmscan.reclaimGroup(group, Math.min(1024, pages - freed), true, 'proactive', swappiness);
    freed += more;
    if (more === 0 && retries-- === 0) return -Errno.EAGAIN;
  }
  return 0;
}

class GroupDirectory implements Directory {
  private readonly fs: PseudoFs;
  private readonly view: KernelView;
  private readonly group: MemCgroup;
  private readonly files = new Map<string, Inode>();
  private readonly below = new Map<string, { readonly inode: Inode; readonly group: MemCgroup; readonly position: number }>();
  private nextPosition: number;

  constructor(fs: PseudoFs, view: KernelView, group: MemCgroup) {
    this.fs = fs;
    this.view = view;
    this.group = group;
    for (const [name, row] of Object.entries(groupRows)) if (!group.isRoot || rootNames.has(name)) this.files.set(name, fs.file(row, { view, group }));
    this.nextPosition = FIRST_POSITION + this.files.size;
  }
  lookup(at: Dentry, name: string): Dentry | null {
    const inode = this.files.get(name) ?? this.below.get(name)?.inode ?? null;
    return inode === null ? null : new Dentry(name, at, inode);
  }
  list(_at: Dentry, position: number): readonly DirEntry[] {
    let at = FIRST_POSITION;
    const entries: DirEntry[] = [...this.files].map(([name, { ino, mode }]) => ({ name, ino, mode, position: at++ }));
    for (const [name, { inode, position: place }] of this.below) entries.push({ name, ino: inode.ino, mode: inode.mode, position: place });
    return entries.filter((entry) => entry.position >= position);
  }
  /** mkdir asks for an inode first, then gives it its name. Files cannot be made, and groups below a group are not modelled. */
  make(mode: number): Inode | number {
    if ((mode & 0o170000) !== FileType.Directory) return -Errno.EPERM;
    if (!this.group.isRoot) return -Errno.EAGAIN; // cgroup.max.depth is reached
    const inode = new Inode(this.fs, this.fs.number(), FileType.Directory | 0o755, this.fs.now);
    inode.nlink = 2;
    return inode;
  }
  add(at: Dentry, name: string, inode: Inode): Dentry | number {
    if (name.includes('\n')) return -Errno.EINVAL;
    const group = this.view.system.memcg.create(name);
    if (group === null) return -Errno.EEXIST;
    inode.dir = new GroupDirectory(this.fs, this.view, group);
    this.below.set(name, { inode, group, position: this.nextPosition++ });
    return new Dentry(name, at, inode);
  }
  remove(_at: Dentry, entry: Dentry): number {
    const found = this.below.get(entry.name);
    if (found === undefined) return -Errno.EPERM;
    if (members(this.view, found.group).length > 0) return -Errno.EBUSY;
    this.below.delete(entry.name);
    this.view.system.memcg.offline(found.group);
    return 0;
  }
  /** rmdir: the files of a group are no obstacle. */
  isEmpty(): boolean {
    return this.below.size === 0;
  }
}

export function makeCgroupfs(view: KernelView): Dentry {
  const fs = new PseudoFs(view, 'cgroup2', CGROUP2_SUPER_MAGIC, 7);
  const inode = new Inode(fs, 1, FileType.Directory | 0o555, fs.now, { dir: new GroupDirectory(fs, view, view.system.memcg.root) });
  inode.nlink = 2;
  return new Dentry('', null, inode);
}
