// Every tunable and every cost, with Linux's name, default and source.
import { bug } from '#base';

export interface KernelParams {
  /** vm.overcommit_memory, vm.max_map_count, ... by Linux's sysctl name without 'vm.'. */
  readonly vm: Record<string, number>;
  /** Modelled cycles by name. */
  readonly costs: Record<string, number>;
}
export const defaultParams = (): KernelParams => bug('unwritten');
