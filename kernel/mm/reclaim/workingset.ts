// Shadows of the two lists: when a folio was evicted, in evictions and activations, so that at its return one can tell whether it would have stayed,
// had it been among the active. Here: packing, and the clock of each group. Not here: where shadows lie (xarray.ts, ../swap/), what
// MGLRU remembers instead (lru-gen.ts). Mirrors mm/workingset.c, 6.18.
//
//   evicted at age E, back at age R: R - E folios have left the inactive list or been activated since. If that is at most the size of the lists that it
//   could have been on instead, it belongs to the working set: it goes to the active list.
import type { Folio, StateHash } from '#base';
import { VmItem } from '../events.ts';
import { FolioFlag } from '../folio.ts';
import type { MemCgroup } from '../memcg.ts';
import type { MmSystem } from '../system.ts';
import type { XArray, XNode } from '../xarray.ts';
import type { Shadow } from './lruvec.ts';

/** Bits of a shadow: a group's number, whether the folio was of the working set, and the age. Linux has 40 or so for the age. */
const GROUP_BITS = 10;
const AGE_RANGE = 2 ** 24;

/** What the two lists know of a group beyond its lists. */
export interface NonresidentClock {
  /** Pages evicted or activated so far: nonresident_age. */
  nonresidentAge: number;
}
export const packShadow = (group: number, age: number, isWorkingset: boolean): Shadow => ((age % AGE_RANGE) * 2 + (isWorkingset ? 1 : 0)) * 2 ** GROUP_BITS + group;
export const unpackShadow = (shadow: Shadow): { group: number; age: number; isWorkingset: boolean } => {
  const group = shadow % 2 ** GROUP_BITS;
  const rest = Math.floor(shadow / 2 ** GROUP_BITS);
  return { group, age: Math.floor(rest / 2), isWorkingset: rest % 2 === 1 };
};

/** The group's clock goes on, and that of its parents. workingset_age_nonresident() */
export function ageNonresident(group: MemCgroup, clockOf: (group: MemCgroup) => NonresidentClock, pages: number): void {
  for (let at: MemCgroup | null = group; at !== null; at = at.parent) clockOf(at).nonresidentAge += pages;
}
/** workingset_eviction(). @param target whose limit reclaim works for; null: the machine's */
export function workingsetEviction(system: MmSystem, folio: Folio, target: MemCgroup | null, clockOf: (group: MemCgroup) => NonresidentClock): Shadow {
  const group = target ?? system.memcg.root;
  const shadow = packShadow(group.id, clockOf(group).nonresidentAge, system.folios.test(folio, FolioFlag.Workingset));
  ageNonresident(group, clockOf, system.folios.nrPages(folio));
  return shadow;
}
/** What the lists of a group hold, with those of the groups below it, which its own reclaim would look at: lruvec_page_state(). */
export interface ListSizes { inactiveAnon: number; activeAnon: number; inactiveFile: number; activeFile: number }

/** Would the folio still be in memory? workingset_test_recent() */
export function workingsetRecent(system: MmSystem, shadow: Shadow, isFile: boolean, clockOf: (group: MemCgroup) => NonresidentClock, sizesOf: (group: MemCgroup) => ListSizes): { isRecent: boolean; isWorkingset: boolean } {
  const { group: id, age, isWorkingset } = unpackShadow(shadow);
  const group = system.memcg.byId(id);
  if (group === null) return { isRecent: false, isWorkingset };
  const distance = (((clockOf(group).nonresidentAge - age) % AGE_RANGE) + AGE_RANGE) % AGE_RANGE;
  const sizes = sizesOf(group);
  let size = sizes.activeFile;
  if (!isFile) size += sizes.inactiveFile;
  if (system.swap.freePagesFor(group) > 0) {
    size += sizes.activeAnon;
    if (isFile) size += sizes.inactiveAnon;
  }
  return { isRecent: distance <= size, isWorkingset };
}
export const refaultItem = (isFile: boolean): number => (isFile ? VmItem.workingset_refault_file : VmItem.workingset_refault_anon);
export const activateItem = (isFile: boolean): number => (isFile ? VmItem.workingset_activate_file : VmItem.workingset_activate_anon);
export const restoreItem = (isFile: boolean): number => (isFile ? VmItem.workingset_restore_file : VmItem.workingset_restore_anon);

/** Nodes of page-cache trees that hold nothing but shadows, oldest first: they cost memory, and are given up when there are too many to be of use. Mirrors
 *  workingset_update_node(), count_shadow_nodes() and scan_shadow_nodes(). One list; Linux has one a group. */
export class ShadowNodes {
  private readonly system: MmSystem;
  private readonly nodes = new Map<XNode, XArray>();
  constructor(system: MmSystem) {
    this.system = system;
  }
  /** Watches the tree of a file. */
  watch(tree: XArray): void {
    tree.onNode = (node) => {
      const isShadowsOnly = node.count > 0 && node.count === node.nrValues;
      if (isShadowsOnly === this.nodes.has(node)) return;
      if (isShadowsOnly) this.nodes.set(node, tree);
      else this.nodes.delete(node);
      this.system.vmstat.set(VmItem.workingset_nodes, this.nodes.size);
    };
  }
  /** Nodes beyond what is worth keeping: shadows of as many pages as there are in memory, in nodes an eighth full. */
  get freeable(): number {
    return Math.max(0, this.nodes.size - (this.system.managedPages >>> 3));
  }
  /** Gives up the oldest. @returns how many */
  shrink(nr: number): number {
    const { vmstat } = this.system;
    let dropped = 0;
    for (const [node, tree] of this.nodes) {
      if (dropped >= nr || this.freeable === 0) break;
      tree.dropNode(node);
      dropped++;
    }
    vmstat.add(VmItem.workingset_nodereclaim, dropped);
    return dropped;
  }
  hash(into: StateHash): void {
    into.numbers([this.nodes.size]);
  }
}
