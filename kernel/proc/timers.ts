// Timers that send signals: setitimer(2) and timer_create(2), on the modelled clock.

export interface KernelTimer {
  id: number;
}
