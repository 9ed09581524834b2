// Bugs on purpose, for tests of the sanitizers and of the debugger: this table is all of them. Each stands where a real one would, at the place that asks
// `params.plant?.strikes(name)`. No run has one unless its configuration says so by a switch that no help mentions.

export const plants = {
  'munmap-fence': 'munmap() takes pages out of the tables and never tells the hart',
  'fork-refcount': 'fork() maps a page into the child and loses the reference that the mapping should have',
  'fork-writable': 'fork() leaves a page writable in the parent',
  'stray-write': 'what a system call answers is written over the page-table entry of the answer\'s page',
  'lru-slip': 'MGLRU puts a folio on the list of another generation than the one it notes',
} as const;
export type PlantName = keyof typeof plants;
export const plantNames = Object.keys(plants) as readonly PlantName[];

/** One of them, armed. Plain data, like all state of the kernel. */
export class Plant {
  readonly name: PlantName;
  /** How often it has done its work. */
  strikesSoFar = 0;
  constructor(name: PlantName) {
    this.name = name;
  }
  /** Is it this one's turn? Asked where it would do its work; lost fences go on being lost, everything else happens once. */
  strikes(name: PlantName): boolean {
    if (name !== this.name || (this.strikesSoFar > 0 && name !== 'munmap-fence')) return false;
    this.strikesSoFar++;
    return true;
  }
}
