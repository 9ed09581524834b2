// The load average: how many tasks wanted the hart, averaged over one, five and fifteen minutes of the modelled clock. Sampled every five
// seconds, as Linux does; a stretch in which nothing changed is folded sample by sample. Mirrors kernel/sched/loadavg.c.
import type { StateHash } from '#base';
import { NS_PER_SECOND } from './clock.ts';

/** LOAD_FREQ: five seconds and a tick, so that samples do not fall in step with what happens every second. */
const SAMPLE_CYCLES = 5 * NS_PER_SECOND + NS_PER_SECOND / 250;
/** Eleven bits after the point. */
const FIXED_1 = 2048;
/** 1 / exp(5 s / 1, 5, 15 min) in that form. */
const DECAY = [1884, 2014, 2037] as const;

export class LoadAverage {
  /** avenrun: the three averages, fixed point. */
  private readonly averages: [number, number, number] = [0, 0, 0];
  private nextSample = SAMPLE_CYCLES;

  isDue(now: number): boolean {
    return now >= this.nextSample;
  }
  /** Takes the samples that are due. @param active tasks that run or could */
  sample(now: number, active: number): void {
    while (now >= this.nextSample) {
      this.nextSample += SAMPLE_CYCLES;
      for (const i of [0, 1, 2] as const) this.averages[i] = fold(this.averages[i], DECAY[i], active * FIXED_1);
    }
  }
  /** '0.06 0.02 0.00', as /proc/loadavg begins. */
  text(): string {
    return this.averages.map((load) => {
      const rounded = load + FIXED_1 / 200;
      return `${Math.floor(rounded / FIXED_1)}.${String(Math.floor(((rounded % FIXED_1) * 100) / FIXED_1)).padStart(2, '0')}`;
    }).join(' ');
  }
  /** As sysinfo(2) has them: sixteen bits after the point. */
  words(): number[] {
    return this.averages.map((load) => load * 32);
  }
  hash(into: StateHash): void {
    into.numbers([...this.averages, this.nextSample]);
  }
}

/** calc_load(): rounds up while the load grows, so that it reaches a whole number. */
function fold(load: number, decay: number, active: number): number {
  const sum = load * decay + active * (FIXED_1 - decay);
  return Math.floor((active >= load ? sum + FIXED_1 - 1 : sum) / FIXED_1);
}
