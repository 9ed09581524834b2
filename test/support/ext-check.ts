// A consistency checker for ext2 and ext4 images, written for the tests and apart from the driver: it reads the bytes anew, in the slowest and plainest
// way, and recounts everything that is counted: blocks, inodes, links, directories, checksums. What it finds wrong is a list of sentences.

export interface CheckedTree {
  /** Complaints; empty: the image is in order. */
  readonly problems: string[];
  /** Everything there is, by path: 'dir', 'link -> text', or the bytes of a file as hex of a plain sum and the length. */
  readonly tree: Map<string, string>;
  readonly bytes: Map<string, Uint8Array>;
}

interface RawInode { ino: number; mode: number; links: number; size: number; flags: number; sectors: number; block: DataView; raw: Uint8Array; dtime: number; seed: number; acl: number }

function crc32c(sum: number, bytes: Uint8Array): number {
  let c = sum >>> 0;
  for (const byte of bytes) {
    c ^= byte;
    for (let i = 0; i < 8; i++) c = (c & 1) !== 0 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
  }
  return c >>> 0;
}
const le32 = (n: number): Uint8Array => new Uint8Array([n, n >>> 8, n >>> 16, n >>> 24]);
const without = (bytes: Uint8Array, ...ranges: [number, number][]): Uint8Array => {
  const copy = bytes.slice();
  for (const [from, to] of ranges) copy.fill(0, from, to);
  return copy;
};

export function checkExt(image: Uint8Array, options: { contents?: boolean } = {}): CheckedTree {
  const problems: string[] = [];
  const tree = new Map<string, string>();
  const contents = new Map<string, Uint8Array>();
  const complain = (what: string): void => { if (problems.length < 50) problems.push(what); };
  const view = new DataView(image.buffer, image.byteOffset, image.length);
  const s16 = (at: number): number => view.getUint16(1024 + at, true);
  const s32 = (at: number): number => view.getUint32(1024 + at, true);
  const blockSize = 1024 << s32(0x18);
  const [incompat, roCompat] = [s32(0x60), s32(0x64)];
  const [is64, hasCsum, hasTree] = [(incompat & 0x80) !== 0, (roCompat & 0x400) !== 0, (incompat & 0x40) !== 0];
  const hasGroupCsum = (roCompat & 0x410) !== 0;
  const nrBlocks = s32(0x04);
  const first = s32(0x14);
  const [blocksPerGroup, inodesPerGroup] = [s32(0x20), s32(0x28)];
  const inodeSize = s16(0x58);
  const descSize = is64 ? s16(0xfe) : 32;
  const nrGroups = Math.ceil((nrBlocks - first) / blocksPerGroup);
  const uuid = image.subarray(1024 + 0x68, 1024 + 0x78);
  const seed = (incompat & 0x2000) !== 0 ? s32(0x270) : crc32c(0xffffffff, uuid);
  if (s16(0x38) !== 0xef53) return { problems: ['no magic number'], tree, bytes: contents };
  if (hasCsum && s32(0x3fc) !== crc32c(0xffffffff, image.subarray(1024, 1024 + 0x3fc))) complain('superblock checksum');
  if ((s16(0x3a) & 1) === 0) complain('not marked as clean');
  if ((s16(0x3a) & 2) !== 0) complain('marked as having errors');
  if (s32(0xe8) !== 0) complain(`orphans from ${s32(0xe8)} on`);

  const blockOf = (n: number): Uint8Array => image.subarray(n * blockSize, (n + 1) * blockSize);
  const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  /** By block: who has it. */
  const owners = new Map<number, string>();
  const own = (block: number, who: string): boolean => {
    if (block < first || block >= nrBlocks) {
      complain(`${who}: block ${block} is outside`);
      return false;
    }
    const other = owners.get(block);
    if (other !== undefined) complain(`block ${block} belongs to ${other} and to ${who}`);
    owners.set(block, who);
    return other === undefined;
  };

  // Groups and their metadata.
  const isPower = (n: number, base: number): boolean => { let p = base; while (p < n) p *= base; return p === n; };
  const hasSuper = (g: number): boolean => g <= 1 || (roCompat & 1) === 0 || [3, 5, 7].some((base) => isPower(g, base));
  const gdtBlocks = Math.ceil((nrGroups * descSize) / blockSize);
  const itable = Math.ceil((inodesPerGroup * inodeSize) / blockSize);
  const reservedGdt = (s32(0x5c) & 0x10) !== 0 ? s16(0xce) : 0;
  interface Group { blockBitmap: number; inodeBitmap: number; table: number; freeBlocks: number; freeInodes: number; dirs: number; flags: number; unused: number; raw: Uint8Array }
  const groups: Group[] = [];
  for (let g = 0; g < nrGroups; g++) {
    const at = (first + 1) * blockSize + g * descSize;
    const raw = image.subarray(at, at + descSize);
    const d = viewOf(raw);
    const hi = (o: number): number => (descSize >= 64 ? d.getUint32(o, true) * 2 ** 32 : 0);
    groups.push({
      blockBitmap: d.getUint32(0, true) + hi(0x20), inodeBitmap: d.getUint32(4, true) + hi(0x24), table: d.getUint32(8, true) + hi(0x28),
      freeBlocks: d.getUint16(0xc, true), freeInodes: d.getUint16(0xe, true), dirs: d.getUint16(0x10, true), flags: hasGroupCsum ? d.getUint16(0x12, true) : 0,
      unused: d.getUint16(0x1c, true), raw,
    });
    if (hasCsum && (crc32c(crc32c(seed, le32(g)), without(raw, [0x1e, 0x20])) & 0xffff) !== d.getUint16(0x1e, true)) complain(`checksum of group ${g}`);
    const start = first + g * blocksPerGroup;
    if (hasSuper(g)) for (let i = 0; i < 1 + gdtBlocks + reservedGdt; i++) own(start + i, `superblock copy of group ${g}`);
    own(groups[g]!.blockBitmap, `block bitmap ${g}`);
    own(groups[g]!.inodeBitmap, `inode bitmap ${g}`);
    for (let i = 0; i < itable; i++) own(groups[g]!.table + i, `inode table ${g}`);
  }

  // Inodes.
  const inodeUsed = (ino: number): boolean => {
    const g = Math.floor((ino - 1) / inodesPerGroup);
    if ((groups[g]!.flags & 1) !== 0) return false;
    const bit = (ino - 1) % inodesPerGroup;
    return (blockOf(groups[g]!.inodeBitmap)[bit >> 3]! & (1 << (bit & 7))) !== 0;
  };
  const readInode = (ino: number): RawInode => {
    const g = Math.floor((ino - 1) / inodesPerGroup);
    const at = groups[g]!.table * blockSize + ((ino - 1) % inodesPerGroup) * inodeSize;
    const raw = image.subarray(at, at + inodeSize);
    const v = viewOf(raw);
    const mode = v.getUint16(0, true);
    const size = v.getUint32(4, true) + ((mode & 0xf000) === 0x8000 ? v.getUint32(0x6c, true) * 2 ** 32 : 0);
    return {
      ino, mode, links: v.getUint16(0x1a, true), size, flags: v.getUint32(0x20, true), sectors: v.getUint32(0x1c, true), dtime: v.getUint32(0x14, true),
      block: viewOf(raw.subarray(0x28, 0x28 + 60)), raw, seed: crc32c(crc32c(seed, le32(ino)), le32(v.getUint32(0x64, true))), acl: v.getUint32(0x68, true),
    };
  };
  const checkInodeSum = (inode: RawInode): void => {
    if (!hasCsum) return;
    const v = viewOf(inode.raw);
    const high = inodeSize > 128 && v.getUint16(0x80, true) >= 4;
    const sum = crc32c(inode.seed, without(inode.raw, [0x7c, 0x7e], ...(high ? [[0x82, 0x84] as [number, number]] : [])));
    const found = v.getUint16(0x7c, true) + (high ? v.getUint16(0x82, true) * 65536 : 0);
    if (found !== (high ? sum : sum & 0xffff)) complain(`checksum of inode ${inode.ino}`);
  };
  /** Data blocks by index in the file; 0 in unwritten ones, whose place counts all the same. */
  const mapInode = (inode: RawInode): Map<number, number> => {
    const map = new Map<number, number>();
    const who = `inode ${inode.ino}`;
    let nrOwned = 0;
    const ownOne = (b: number): boolean => { nrOwned++; return own(b, who); };
    if (inode.acl !== 0) nrOwned++; // may be shared
    if ((inode.flags & 0x80000) !== 0) {
      let last = -1;
      const node = (v: DataView, bytes: Uint8Array, depth: number | null, key: number | null): void => {
        const [magic, entries, max, level] = [v.getUint16(0, true), v.getUint16(2, true), v.getUint16(4, true), v.getUint16(6, true)];
        if (magic !== 0xf30a || entries > max || (depth !== null && level !== depth) || (depth !== null && entries === 0)) {
          complain(`${who}: bad node of extents (magic ${magic.toString(16)}, ${entries} of ${max}, depth ${level})`);
          return;
        }
        if (depth !== null && hasCsum && v.getUint32(12 + 12 * max, true) !== crc32c(inode.seed, bytes.subarray(0, 12 + 12 * max))) complain(`${who}: checksum of extents`);
        if (key !== null && v.getUint32(12, true) !== key) complain(`${who}: a node of extents begins at ${v.getUint32(12, true)}, its parent says ${key}`);
        for (let i = 0; i < entries; i++) {
          const at = 12 + 12 * i;
          const index = v.getUint32(at, true);
          if (level > 0) {
            const child = v.getUint32(at + 4, true) + v.getUint16(at + 8, true) * 2 ** 32;
            if (ownOne(child)) node(viewOf(blockOf(child)), blockOf(child), level - 1, index);
            continue;
          }
          const length = v.getUint16(at + 4, true);
          const [count, unwritten] = length > 32768 ? [length - 32768, true] : [length, false];
          if (index <= last || count === 0) complain(`${who}: extents out of order at ${index}`);
          last = index + count - 1;
          const start = v.getUint32(at + 8, true) + v.getUint16(at + 6, true) * 2 ** 32;
          for (let j = 0; j < count; j++) {
            ownOne(start + j);
            map.set(index + j, unwritten ? 0 : start + j);
          }
        }
      };
      node(inode.block, inode.raw.subarray(0x28, 0x64), null, null);
    } else {
      const per = blockSize / 4;
      const descend = (b: number, level: number, index: number): void => {
        if (b === 0) return;
        if (!ownOne(b)) return;
        if (level === 0) {
          map.set(index, b);
          return;
        }
        const v = viewOf(blockOf(b));
        for (let i = 0; i < per; i++) descend(v.getUint32(4 * i, true), level - 1, index + i * per ** (level - 1));
      };
      for (let i = 0; i < 12; i++) descend(inode.block.getUint32(4 * i, true), 0, i);
      for (let level = 1, index = 12; level <= 3; index += per ** level, level++) descend(inode.block.getUint32(4 * (11 + level), true), level, index);
    }
    if (nrOwned * (blockSize / 512) !== inode.sectors) complain(`${who}: has ${nrOwned * (blockSize / 512)} sectors, says ${inode.sectors}`);
    return map;
  };
  const readFile = (inode: RawInode, map: Map<number, number>): Uint8Array => {
    const bytes = new Uint8Array(inode.size);
    for (const [index, block] of map) {
      if (block === 0 || index * blockSize >= inode.size) continue;
      bytes.set(blockOf(block).subarray(0, Math.min(blockSize, inode.size - index * blockSize)), index * blockSize);
    }
    return bytes;
  };

  // Directories, from the root on.
  const links = new Map<number, number>();
  const seen = new Map<number, RawInode>();
  const dirsOf = new Array<number>(nrGroups).fill(0);
  const types = [0, 0o100000, 0o040000, 0o020000, 0o060000, 0o010000, 0o140000, 0o120000];
  const visit = (ino: number, path: string, parent: number): void => {
    links.set(ino, (links.get(ino) ?? 0) + 1);
    const known = seen.get(ino);
    const inode = known ?? readInode(ino);
    const type = inode.mode & 0o170000;
    if (known === undefined) {
      seen.set(ino, inode);
      if (!inodeUsed(ino)) complain(`inode ${ino} (${path}) is marked as free`);
      checkInodeSum(inode);
      if (inode.dtime !== 0) complain(`inode ${ino} (${path}) has a time of deletion`);
    } else if (type === 0o040000) {
      complain(`directory ${ino} has two names, ${path} is one`);
      return;
    }
    if (type === 0o120000 && known !== undefined) {
      tree.set(path, 'link');
      return;
    }
    if (type === 0o120000) {
      const isFast = inode.size < 60 && inode.sectors === 0;
      const bytes = isFast ? inode.raw.subarray(0x28, 0x28 + inode.size) : readFile(inode, mapInode(inode));
      tree.set(path, `link -> ${new TextDecoder().decode(bytes)}`);
      return;
    }
    if (type === 0o100000) {
      const map = known === undefined ? mapInode(inode) : null;
      tree.set(path, `file ${ino} ${inode.size}`);
      if (map !== null && options.contents === true) contents.set(path, readFile(inode, map));
      return;
    }
    if (type !== 0o040000) {
      tree.set(path, `special ${inode.mode.toString(8)}`);
      return;
    }
    tree.set(path, 'dir');
    dirsOf[Math.floor((ino - 1) / inodesPerGroup)]!++;
    const map = mapInode(inode);
    if (inode.size % blockSize !== 0 || inode.size === 0) complain(`directory ${path}: ${inode.size} bytes`);
    const isIndexed = (inode.flags & 0x1000) !== 0;
    const names = new Set<string>();
    const children: [number, string][] = [];
    for (let i = 0; i < inode.size / blockSize; i++) {
      const b = map.get(i) ?? 0;
      if (b === 0) {
        complain(`directory ${path}: block ${i} is a hole`);
        continue;
      }
      const bytes = blockOf(b);
      const v = viewOf(bytes);
      const isIndexBlock = isIndexed && (i === 0 || (v.getUint32(0, true) === 0 && v.getUint16(4, true) === blockSize));
      if (hasCsum && !isIndexBlock) {
        const isTail = v.getUint32(blockSize - 12, true) === 0 && v.getUint16(blockSize - 8, true) === 12 && bytes[blockSize - 5] === 0xde;
        if (!isTail || v.getUint32(blockSize - 4, true) !== crc32c(inode.seed, bytes.subarray(0, blockSize - 12))) complain(`directory ${path}: checksum of block ${i}`);
      }
      let at = 0;
      while (at < blockSize) {
        const [child, recLen, nameLen, ft] = [v.getUint32(at, true), v.getUint16(at + 4, true), bytes[at + 6]!, bytes[at + 7]!];
        if (recLen < 12 || recLen % 4 !== 0 || at + recLen > blockSize || recLen < 8 + nameLen) {
          complain(`directory ${path}: entry at ${i * blockSize + at}`);
          break;
        }
        if (child !== 0) {
          const name = new TextDecoder().decode(bytes.subarray(at + 8, at + 8 + nameLen));
          if (names.has(name)) complain(`directory ${path}: '${name}' twice`);
          names.add(name);
          if (name === '.' && (child !== ino || i > 0 || at > 0)) complain(`directory ${path}: '.'`);
          if (name === '..' && (child !== parent || i > 0 || at !== 12)) complain(`directory ${path}: '..' is ${child}, not ${parent}`);
          if (child < 1 || child > s32(0)) complain(`directory ${path}: inode ${child}`);
          else {
            const childType = readInode(child).mode & 0o170000;
            if ((incompat & 2) !== 0 && types[ft] !== childType) complain(`directory ${path}: type ${ft} of '${name}'`);
            if (name === '.' || name === '..') links.set(child, (links.get(child) ?? 0) + 1);
            else children.push([child, name]);
          }
        }
        at += recLen;
      }
    }
    if (!names.has('.') || !names.has('..')) complain(`directory ${path}: no '.' or '..'`);
    for (const [child, name] of children) visit(child, `${path === '/' ? '' : path}/${name}`, ino);
  };
  visit(2, '/', 2);
  links.set(2, links.get(2)! - 1); // the root has no name
  // Files that belong to the file system itself.
  const firstIno = s32(0x54);
  for (let ino = 1; ino < firstIno; ino++) {
    if (!inodeUsed(ino)) complain(`inode ${ino} is not marked as used`);
    const inode = readInode(ino);
    if (ino === 2 || inode.links === 0) continue;
    if (ino === 7) { // the resize inode names what is set aside for descriptors
      owners.set(inode.block.getUint32(52, true), 'resize inode');
      continue;
    }
    mapInode(inode);
  }
  for (const [ino, inode] of seen) {
    const isMany = (inode.mode & 0o170000) === 0o040000 && inode.links === 1;
    if (!isMany && inode.links !== links.get(ino)) complain(`inode ${ino}: ${links.get(ino)} links, says ${inode.links}`);
  }

  // What is counted.
  let [freeBlocks, freeInodes] = [0, 0];
  for (let g = 0; g < nrGroups; g++) {
    const group = groups[g]!;
    const start = first + g * blocksPerGroup;
    const here = Math.min(blocksPerGroup, nrBlocks - start);
    let free = 0;
    const blocks = blockOf(group.blockBitmap);
    for (let i = 0; i < here; i++) {
      const isUsed = (group.flags & 2) !== 0 ? owners.has(start + i) : (blocks[i >> 3]! & (1 << (i & 7))) !== 0;
      if (!isUsed) free++;
      if (isUsed !== owners.has(start + i)) complain(isUsed ? `block ${start + i} is marked as used, but nobody's` : `block ${start + i} of ${owners.get(start + i)} is marked as free`);
    }
    if (free !== group.freeBlocks) complain(`group ${g}: ${free} free blocks, says ${group.freeBlocks}`);
    freeBlocks += free;
    let freeHere = 0;
    for (let i = 0; i < inodesPerGroup; i++) {
      const ino = g * inodesPerGroup + i + 1;
      if (!inodeUsed(ino)) {
        freeHere++;
        const isWritten = (group.flags & 1) === 0 && !(hasGroupCsum && i >= inodesPerGroup - group.unused);
        if (isWritten && readInode(ino).links !== 0) complain(`inode ${ino} is marked as free, but has links`);
        continue;
      }
      if (ino >= firstIno && !seen.has(ino)) complain(`inode ${ino} is marked as used, but has no name`);
      if (hasGroupCsum && i >= inodesPerGroup - group.unused) complain(`inode ${ino} is in the part of the table that says it was never used`);
    }
    if (freeHere !== group.freeInodes) complain(`group ${g}: ${freeHere} free inodes, says ${group.freeInodes}`);
    freeInodes += freeHere;
    if (dirsOf[g] !== group.dirs) complain(`group ${g}: ${dirsOf[g]} directories, says ${group.dirs}`);
    if (hasCsum) {
      const d = viewOf(group.raw);
      const found = (low: number, high: number): number => d.getUint16(low, true) + (descSize >= 64 ? d.getUint16(high, true) * 65536 : 0);
      const mask = descSize >= 64 ? 0xffffffff : 0xffff;
      if ((group.flags & 2) === 0 && found(0x18, 0x38) !== ((crc32c(seed, blocks.subarray(0, blocksPerGroup / 8)) & mask) >>> 0)) complain(`group ${g}: checksum of the block bitmap`);
      if ((group.flags & 1) === 0 && found(0x1a, 0x3a) !== ((crc32c(seed, blockOf(group.inodeBitmap).subarray(0, inodesPerGroup / 8)) & mask) >>> 0)) complain(`group ${g}: checksum of the inode bitmap`);
    }
  }
  if (freeBlocks !== s32(0x0c)) complain(`${freeBlocks} free blocks, says ${s32(0x0c)}`);
  if (freeInodes !== s32(0x10)) complain(`${freeInodes} free inodes, says ${s32(0x10)}`);
  if (!hasTree && [...seen.values()].some(({ flags }) => (flags & 0x80000) !== 0)) complain('extents without the feature');
  return { problems, tree, bytes: contents };
}
