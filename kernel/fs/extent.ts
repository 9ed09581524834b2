// Where a part of a file lies, whichever way its format answers. Here: blocks that follow each other, gathered into an extent.
import { type BlockMapper, type Iomap, IomapPurpose, type IomapSource, IomapType } from './mapping.ts';

export const isIomapSource = (mapper: BlockMapper | IomapSource): mapper is IomapSource => 'begin' in mapper;

/** The extent that holds `offset`, within `lenBytes`; -errno. */
export function extentAt(mapper: BlockMapper | IomapSource, offset: number, lenBytes: number, purpose: IomapPurpose): Iomap | number {
  if (isIomapSource(mapper)) return mapper.begin(offset, lenBytes, purpose);
  const { blockSize } = mapper;
  const creates = purpose === IomapPurpose.Write;
  const first = Math.floor(offset / blockSize);
  const end = Math.ceil((offset + Math.max(1, lenBytes)) / blockSize);
  const found = mapper.getBlock(first, creates);
  if (typeof found === 'number' && found < 0) return found;
  const isHole = typeof found === 'number';
  let at = first + 1;
  for (; at < end; at++) {
    const next = mapper.getBlock(at, creates);
    if (isHole ? next !== 0 : typeof next === 'number' || next.block !== found.block + at - first || next.isNew !== found.isNew) break;
  }
  return { type: isHole ? IomapType.Hole : IomapType.Mapped, offset: first * blockSize, lenBytes: (at - first) * blockSize, addrBytes: isHole ? 0 : found.block * blockSize, isNew: !isHole && found.isNew };
}
