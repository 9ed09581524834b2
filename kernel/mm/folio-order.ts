// Which order the first touch of anonymous memory gets. Here: the policy's interface, Linux's policy, and the mechanism around it: what fits
// the VMA, what is still empty, what can be allocated. Not here: mapping it (anon.ts), 2 MiB by one entry (huge.ts).
// Mirrors thp_vma_allowable_orders(), thp_vma_suitable_orders() and alloc_anon_folio(), 6.18.
import { asVpn } from '#base';
import type { Folio, Vpn } from '#base';
import { NAPOT_ORDER } from '#mmu';
import type { Fault } from './fault.ts';
import { MemdescType } from './folio.ts';
import { Gfp, GfpFlag } from './gfp.ts';
import type { Mm } from './mm.ts';
import type { ReasonCode } from './reasons.ts';
import { ANON_ORDERS, PMD_ORDER, ThpStat, hasOrder, highestOrder } from './thp.ts';
import type { OrderSet, ThpDefrag } from './thp.ts';
import { VmFlag } from './vma.ts';
import type { Vma } from './vma.ts';

/** Answers one question: of the orders that the controls allow, which should be tried for this touch? Largest first; 0 is always there. */
export interface FolioOrderPolicy {
  readonly name: string;
  ordersFor(vma: Vma, vpn: Vpn, enabled: OrderSet): OrderSet;
}
/** Linux tries everything that is enabled. */
export const linuxFolioOrder: FolioOrderPolicy = {
  name: 'linux',
  ordersFor: (_vma, _vpn, enabled) => enabled,
};

/** Did advice or prctl switch large folios off here? vma_thp_disabled(). */
export const isThpDisabled = (mm: Mm, vma: Vma): boolean => vma.has(VmFlag.NoHugePage) || mm.thpDisabled || (mm.thpExceptAdvised && !vma.has(VmFlag.HugePage));
/** The orders that settings, advice and prctl allow an anonymous VMA; bit 9 is the 2 MiB mapping. */
export function enabledOrders(mm: Mm, vma: Vma): OrderSet {
  if (isThpDisabled(mm, vma)) return 0;
  return mm.system.thp.ordersFor(vma.has(VmFlag.HugePage)) & ANON_ORDERS;
}
/** Would the VMA, by size and alignment, ever get a large folio? THPeligible of smaps. */
export function isThpEligible(mm: Mm, vma: Vma): boolean {
  if (!vma.isAnonymous) return false;
  for (let orders = enabledOrders(mm, vma); orders !== 0; ) {
    const order = highestOrder(orders);
    const size = 4096 << order;
    if (Math.floor(vma.end / size) * size - Math.ceil(vma.start / size) * size >= size) return true;
    orders &= ~(1 << order);
  }
  return false;
}
/** The mask for a large folio at a fault, by transparent_hugepage/defrag. Mirrors vma_thp_gfp_mask(). */
export function gfpFor(vma: Vma | null, defrag: ThpDefrag): number {
  const advised = vma?.has(VmFlag.HugePage) ?? false;
  switch (defrag) {
    case 'always': return advised ? Gfp.Thp : Gfp.Thp | GfpFlag.Noretry;
    case 'defer': return Gfp.ThpLight | GfpFlag.KswapdReclaim;
    case 'defer+madvise': return Gfp.ThpLight | (advised ? GfpFlag.DirectReclaim : GfpFlag.KswapdReclaim);
    case 'madvise': return advised ? Gfp.Thp : Gfp.ThpLight;
    case 'never': return Gfp.ThpLight;
  }
}

/** A folio for a first touch, zeroed, with the page it starts at; null: no memory even for one page. */
export function allocAnonFolio(fault: Fault): { folio: Folio; start: Vpn; order: number } | null {
  const { mm, vma, vpn } = fault;
  const { system } = mm;
  const enabled = enabledOrders(mm, vma);
  let orders = system.orderPolicy.ordersFor(vma, vpn, enabled) & enabled & ~(1 << PMD_ORDER);
  if (system.params.allocStrategy === 'sizes') orders &= 1 << NAPOT_ORDER;
  const wanted = highestOrder(orders);
  let reason: ReasonCode = orders === 0 ? (isThpDisabled(mm, vma) ? 'thp-no-vma' : 'thp-off') : 'order-wanted';
  // The first that fits the VMA ends the search: a smaller window lies inside a larger one.
  while (orders !== 0 && !fitsVma(vma, vpn, highestOrder(orders))) {
    orders &= ~(1 << highestOrder(orders));
    reason = 'vma-too-small';
  }
  while (orders !== 0 && !mm.tables.rangeNone(alignedTo(vpn, highestOrder(orders)), 1 << highestOrder(orders))) {
    orders &= ~(1 << highestOrder(orders));
    reason = 'ptes-not-none';
  }
  const chosen = orders === 0 ? 0 : highestOrder(orders);
  if (system.faults.current !== null) system.faults.phase('order choice', { enabled, wanted: Math.max(wanted, 0), chosen }, `order ${chosen}`, reason);
  const gfp = gfpFor(vma, system.thp.defrag);
  if (system.params.allocStrategy === 'largest' && orders !== 0) {
    const got = system.allocFolioUpTo(orders, MemdescType.AnonFolio, gfp, Gfp.UserZero);
    for (let missed = orders & ~((2 << (got?.order ?? 0)) - 1); missed !== 0; missed &= ~(1 << highestOrder(missed))) {
      system.thp.count(highestOrder(missed), ThpStat.anon_fault_fallback);
    }
    return got === null ? null : zeroed(fault, got.folio, got.order, got.order === chosen ? null : 'fragmented');
  }
  while (orders !== 0) {
    const order = highestOrder(orders);
    const folio = system.allocFolio(order, MemdescType.AnonFolio, gfp);
    if (folio !== 0) return zeroed(fault, folio, order, order === chosen ? null : 'fragmented');
    if (system.chargeFailed) system.thp.count(order, ThpStat.anon_fault_fallback_charge);
    system.thp.count(order, ThpStat.anon_fault_fallback);
    orders &= ~(1 << order);
  }
  const page = system.allocFolio(0, MemdescType.AnonFolio, Gfp.UserZero);
  return page === 0 ? null : zeroed(fault, page, 0, chosen === 0 ? null : 'fragmented');
}
function zeroed(fault: Fault, folio: Folio, order: number, reason: ReasonCode | null): { folio: Folio; start: Vpn; order: number } {
  const { system } = fault.mm;
  if (system.faults.current !== null) system.faults.phase('allocate', { order, pfn: folio }, `one folio of order ${order}`, reason);
  system.zeroFolio(folio, 1 << order);
  if (system.faults.current !== null) system.faults.phase('zero', { pages: 1 << order }, 'the whole folio');
  return { folio, start: asVpn(alignedTo(fault.vpn, order)), order };
}
export const alignedTo = (vpn: number, order: number): number => vpn - (vpn % (1 << order));
export function fitsVma(vma: Vma, vpn: number, order: number): boolean {
  const start = alignedTo(vpn, order) * 4096;
  return start >= vma.start && start + (4096 << order) <= vma.end;
}
export const pmdOrderEnabled = (mm: Mm, vma: Vma, vpn: Vpn): boolean =>
  hasOrder(mm.system.orderPolicy.ordersFor(vma, vpn, enabledOrders(mm, vma)), PMD_ORDER);
