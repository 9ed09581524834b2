// Disks of a run that is looked at: what it writes stays in memory, and the images are as they were. Here: putting that over a run's disks.
import { SparseImage } from '#kernel';
import type { DiskImage } from '#kernel';
import type { RunConfig } from '../config.ts';

/** The same run with its disks' images covered. @returns also the images below, which belong to the host */
export function overlayDisks(config: RunConfig): { config: RunConfig; below: readonly DiskImage[] } {
  const { disks } = config.inputs;
  const covered = disks.map((disk) => ({ ...disk, image: new SparseImage(disk.image.sizeBytes, disk.image) }));
  return { config: { ...config, inputs: { ...config.inputs, disks: covered } }, below: disks.map(({ image }) => image) };
}
