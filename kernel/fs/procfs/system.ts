// Files of /proc about the whole machine: meminfo, vmstat, cpuinfo, stat and their like. Linux's formats for what is modelled.
// Here: the text. Not here: the numbers (mm/), /proc/sys (sysctl.ts). Mirrors fs/proc/meminfo.c, mm/vmstat.c, arch/riscv/kernel/cpu.c.
import { PAGE_SIZE } from '#base';
import type { BlockDevice } from '../../block/device.ts';
import { NS_PER_SECOND, ticksOfCycles } from '../../proc/clock.ts';
import { TaskState } from '../../proc/task.ts';
import { UTS } from '../../syscall/misc.ts';
import { bareFilePath } from '../dentry.ts';
import type { TextRow } from '../pseudo.ts';
import type { Vfs } from '../vfs.ts';
import type { KernelView } from '../view.ts';
import { buddyinfo, pagetypeinfo, zoneinfo } from './zones.ts';

interface SystemSubject { readonly view: KernelView; readonly vfs: Vfs }

function meminfo({ view }: SystemSubject): string {
  const { system } = view;
  const { vmstat } = system;
  const line = (label: string, kilobytes: number): string => `${`${label}:`.padEnd(16)}${String(Math.floor(kilobytes)).padStart(8)} kB\n`;
  const pages = (label: string, nr: number): string => line(label, nr * (PAGE_SIZE / 1024));
  const free = system.buddy.freePages;
  const hugeTotals = ['Total', 'Free', 'Rsvd', 'Surp'].map((name) => `${`HugePages_${name}:`.padEnd(16)}${'0'.padStart(8)}\n`).join('');
  const swapCached = vmstat.get('nr_swapcached');
  const buffers = system.disks.reduce((sum, { cache }) => sum + (cache?.nrPages ?? 0), 0);
  return pages('MemTotal', system.managedPages) + pages('MemFree', free) + pages('MemAvailable', memAvailable(system)) +
    pages('Buffers', buffers) + pages('Cached', vmstat.get('nr_file_pages') - swapCached - buffers) + pages('SwapCached', swapCached) +
    pages('Active', vmstat.get('nr_active_anon') + vmstat.get('nr_active_file')) + pages('Inactive', vmstat.get('nr_inactive_anon') + vmstat.get('nr_inactive_file')) +
    pages('Active(anon)', vmstat.get('nr_active_anon')) + pages('Inactive(anon)', vmstat.get('nr_inactive_anon')) +
    pages('Active(file)', vmstat.get('nr_active_file')) + pages('Inactive(file)', vmstat.get('nr_inactive_file')) + pages('Unevictable', vmstat.get('nr_unevictable')) +
    pages('Mlocked', vmstat.get('nr_mlock')) + pages('SwapTotal', system.swap.totalPages) + pages('SwapFree', system.swap.freePages) + pages('Zswap', system.swap.zswap.poolPages) + pages('Zswapped', system.swap.zswap.storedPages) + pages('Dirty', vmstat.get('nr_dirty')) + pages('Writeback', vmstat.get('nr_writeback')) +
    pages('AnonPages', vmstat.get('nr_anon_pages')) + pages('Mapped', vmstat.get('nr_mapped')) + pages('Shmem', vmstat.get('nr_shmem')) +
    pages('KReclaimable', 0) + pages('Slab', vmstat.get('nr_slab_unreclaimable')) + pages('SReclaimable', 0) + pages('SUnreclaim', vmstat.get('nr_slab_unreclaimable')) +
    pages('PageTables', vmstat.get('nr_page_table_pages')) + pages('WritebackTmp', 0) + pages('CommitLimit', system.commitLimitPages) + pages('Committed_AS', system.committedPages) +
    pages('AnonHugePages', vmstat.get('nr_anon_transparent_hugepages') * PMD_PAGES) + pages('ShmemHugePages', 0) + pages('ShmemPmdMapped', 0) +
    pages('FileHugePages', 0) + pages('FilePmdMapped', 0) + hugeTotals + line('Hugepagesize', 2048) + line('Hugetlb', 0);
}
const PMD_PAGES = 512;
/** What could be had without pushing programs aside: si_mem_available(). */
function memAvailable({ buddy, watermarks, vmstat }: KernelView['system']): number {
  const cached = vmstat.get('nr_active_file') + vmstat.get('nr_inactive_file');
  return Math.max(0, buddy.freePages - watermarks.high + cached - Math.min(Math.floor(cached / 2), watermarks.low));
}

/** swap_show(): numbers in kB, with tabs that suit those below ten million. */
function swaps({ view }: SystemSubject): string {
  const tab = (n: number): string => `${n}\t${n < 10_000_000 ? '\t' : ''}`;
  const lines = view.system.swap.devices.map(({ target: { path }, isDevice, nrPages, inUse, priority }) =>
    `${path.padEnd(Math.max(40, path.length + 1))}${isDevice ? 'partition' : 'file\t'}\t${tab(nrPages * 4)}${tab(inUse * 4)}${priority}\n`);
  return `Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n${lines.join('')}`;
}

/** One hart. The extensions in Linux's order (riscv_isa_ext[] of cpufeature.c). */
function cpuinfo({ view }: SystemSubject): string {
  const isa = 'rv64imafdc_zicntr_zicond_zicsr_zifencei_zihpm_zba_zbb_zbs_svnapot';
  return `processor\t: 0\nhart\t\t: 0\nisa\t\t: ${isa}\nmmu\t\t: sv${view.system.machine.sv}\nmvendorid\t: 0x0\nmarchid\t\t: 0x0\nmimpid\t\t: 0x0\nhart isa\t: ${isa}\n\n`;
}

const hundredths = (ns: number): string => `${Math.floor(ns / NS_PER_SECOND)}.${String(Math.floor((ns % NS_PER_SECOND) / 1e7)).padStart(2, '0')}`;

/** cpu times in ticks: what programs used is known, what nobody used too; the rest is the kernel's. */
function stat({ view }: SystemSubject): string {
  let user = 0;
  let switches = 0;
  let running = 0;
  for (const p of view.processes.values()) {
    user += p.deadUsage.userCycles + p.childUsage.userCycles;
    switches += p.deadUsage.switches[0] + p.deadUsage.switches[1] + p.childUsage.switches[0] + p.childUsage.switches[1];
    for (const t of p.threads) {
      user += t.userCycles;
      switches += t.voluntarySwitches + t.involuntarySwitches;
      if (t.state === TaskState.Runnable) running++;
    }
  }
  const system = Math.max(0, view.uptimeNs() - view.idleCycles - user);
  const times = `${ticksOfCycles(user)} 0 ${ticksOfCycles(system)} ${ticksOfCycles(view.idleCycles)} 0 0 0 0 0 0`;
  return `cpu  ${times}\ncpu0 ${times}\nctxt ${switches}\nbtime ${view.host.epochSeconds}\nprocs_running ${running}\nprocs_blocked 0\n`;
}

/** Averages, tasks that could run, all tasks, the newest task's number. */
function loadavg({ view }: SystemSubject): string {
  const tasks = [...view.tasks.values()];
  const running = tasks.filter((t) => t.state === TaskState.Runnable).length;
  return `${view.load.text()} ${running}/${tasks.length} ${Math.max(0, ...view.tasks.keys())}\n`;
}

/** What follows a blank, tab or newline in a field of mounts, as octal. */
const escaped = (word: string): string => word.replace(/[ \t\n\\#]/g, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`);

export function mountsText(vfs: Vfs): string {
  return vfs.mounts.map(({ source, root }) => {
    const { type, options } = root.inode.fs;
    return `${escaped(source)} ${escaped(bareFilePath(root))} ${type} ${root.inode.fs.isReadOnly ? 'ro' : 'rw'},relatime${options} 0 0\n`;
  }).join('');
}

const partitionLine = ({ major, minor, nrSectors, name }: BlockDevice): string =>
  `${`${major}`.padStart(4)}  ${`${minor}`.padStart(7)} ${`${Math.floor(nrSectors / 2)}`.padStart(10)} ${name}\n`;

/** One line a segment, in columns of fixed width: sysvipc_shm_proc_show(). */
function sysvipcShm({ view }: SystemSubject): string {
  const head = '       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap\n';
  return head + view.shm.segments.map((s) => {
    const columns: readonly (readonly [number | string, number])[] = [[s.key, 10], [s.id, 10], [` ${s.mode.toString(8).padStart(4)}`, 5], [s.sizeBytes, 21], [s.cpid, 5], [s.lpid, 5], [s.attached, 6],
      [s.uid, 5], [s.gid, 5], [s.cuid, 5], [s.cgid, 5], [s.atime, 10], [s.dtime, 10], [s.ctime, 10], [s.space.nrPages * 4096, 21], [s.space.nrSwapped * 4096, 21]];
    return `${columns.map(([text, width]) => `${text}`.padStart(width)).join(' ')}\n`;
  }).join('');
}

export const systemRows: Readonly<Record<string, TextRow<SystemSubject>>> = {
  buddyinfo: { mode: 0o444, show: ({ view }) => buddyinfo(view.system) },
  cpuinfo: { mode: 0o444, show: cpuinfo },
  diskstats: { mode: 0o444, show: ({ view }) => view.system.disks.map((disk) => disk.diskstatsLine()).join('') },
  filesystems: { mode: 0o444, show: () => ['sysfs', 'tmpfs', 'proc', 'devtmpfs', 'sockfs', 'pipefs'].map((type) => `nodev\t${type}\n`).join('') + '\text4\n\text2\n' },
  loadavg: { mode: 0o444, show: loadavg },
  meminfo: { mode: 0o444, show: meminfo },
  pagetypeinfo: { mode: 0o400, show: ({ view }) => pagetypeinfo(view.system) },
  partitions: { mode: 0o444, show: ({ view }) => `major minor  #blocks  name\n\n${view.system.disks.map(partitionLine).join('')}` },
  stat: { mode: 0o444, show: stat },
  swaps: { mode: 0o444, show: swaps },
  'sysvipc/shm': { mode: 0o444, show: sysvipcShm },
  uptime: { mode: 0o444, show: ({ view }) => `${hundredths(view.uptimeNs())} ${hundredths(view.idleCycles)}\n` },
  version: { mode: 0o444, show: () => `${UTS.sysname} version ${UTS.release} (quire@quire) ${UTS.version}\n` },
  vmstat: {
    mode: 0o444,
    show({ view: { system } }) {
      system.writeback.updateThresholds();
      return `${system.vmstat.lines().join('\n')}\n`;
    },
  },
  zoneinfo: { mode: 0o444, show: ({ view }) => zoneinfo(view.system) },
};
