// Numbers with units. A brand costs nothing at run time and decays to `number` under arithmetic; the functions below put it back.

declare const unit: unique symbol;
type Unit<Names extends string> = number & { readonly [unit]: { readonly [N in Names]: true } };

/** Signed page number of a canonical virtual address: 27 bits under Sv39, 36 under Sv48, 45 under Sv57; always exact in a double. */
export type Vpn = Unit<'Vpn'>;
/** Physical page number as PTEs and satp hold it: the first frame of RAM is 0x80000. */
export type Pfn = Unit<'Pfn'>;
/** A frame known to be the head of a folio: passes as a Pfn, never the other way round (which is why Linux has folios). */
export type Folio = Unit<'Pfn' | 'Folio'>;
/** Address-space identifier, 0 to 65535. */
export type Asid = Unit<'Asid'>;

export const PAGE_SHIFT = 12;
export const PAGE_SIZE = 4096;
export const PAGE_MASK = 4095;

/** The virtual page number of an address given as signed 32-bit halves. */
export const vpnOf = (hi: number, lo: number): Vpn => (hi * 0x10_0000 + (lo >>> 12)) as Vpn;
/** The virtual page number of a byte address below 2^53 (the kernel's form of user addresses). */
export const vpnOfVa = (va: number): Vpn => Math.floor(va / PAGE_SIZE) as Vpn;
export const asPfn = (n: number): Pfn => n as Pfn;
export const asFolio = (n: number): Folio => n as Folio;
export const asVpn = (n: number): Vpn => n as Vpn;
export const asAsid = (n: number): Asid => n as Asid;

/** '0x2a'; negative numbers keep their sign in front. */
export const hex = (n: number): string => (n < 0 ? `-0x${(-n).toString(16)}` : `0x${n.toString(16)}`);
/** A 64-bit word from its halves, as sixteen digits without leading zeros: '0x3fdeadb000'. */
export function hex64(hi: number, lo: number): string {
  const high = (hi >>> 0).toString(16);
  const low = (lo >>> 0).toString(16);
  return hi === 0 ? `0x${low}` : `0x${high}${low.padStart(8, '0')}`;
}

const sizeUnits: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };
/** '512M', '64k', '4096' to bytes; null when it is not a size. */
export function parseSize(text: string): number | null {
  const match = /^([0-9]+)([kKmMgG]?)(?:i?[bB])?$/.exec(text);
  if (match === null) return null;
  const bytes = Number(match[1]) * sizeUnits[match[2]!.toLowerCase()]!;
  return Number.isSafeInteger(bytes) ? bytes : null;
}
/** 65536 to '64K', 2097152 to '2M': the shortest exact form. */
export function showSize(bytes: number): string {
  for (const [letter, factor] of [['G', 1024 ** 3], ['M', 1024 ** 2], ['K', 1024]] as const) {
    if (bytes >= factor && bytes % factor === 0) return `${bytes / factor}${letter}`;
  }
  return `${bytes}`;
}
