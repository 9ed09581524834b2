// One run gone through both ways, each move timed. Prints JSON. For timeline.mjs.
// Arguments: options of `quire debug`, then -- PROG ARGS.
import { guestGroups } from '../commands/command.ts';
import { NO_TERMINAL } from '../config.ts';
import { openTimeline } from '../debugger/index.ts';
import { prepare } from '../guest.ts';
import { askForWasmFeatures } from '../host.ts';
import { parseCommandLine } from '../options.ts';

const SEEKS = 24;
const STEPS = 12;
askForWasmFeatures();
const { values, rest } = parseCommandLine('bench', guestGroups, process.argv.slice(2));
const timeline = openTimeline(prepare(values, rest, NO_TERMINAL));
const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
const timed = (move: () => void): number => {
  const before = cpuMs();
  move();
  return cpuMs() - before;
};
const worst = (times: readonly number[]): number => Math.max(...times);
const seekTo = (instret: number): number => timed(() => { timeline.seek({ instret, event: 0, phase: -1 }); });

const forwardMs = timed(() => { timeline.forward({}); });
const { instret } = timeline.place;
// Places all over the run, in no order: multiples of the golden section.
const places = Array.from({ length: SEEKS }, (_, i) => Math.floor(instret * ((i * 0.618034) % 1)));
const seekMs = places.map(seekTo);
// One step back from places that were just come to, the first one included.
const stepBackMs = places.slice(0, STEPS).flatMap((place) => {
  seekTo(place + 1000);
  return [timed(() => { timeline.stepInstructions(-1); }), timed(() => { timeline.stepInstructions(-1); })];
});
seekTo(instret);
const eventBackMs = timed(() => { timeline.backward({ phases: () => true }); });
const phaseBackMs = timed(() => { timeline.backward({ phases: () => true }); });
console.log(JSON.stringify({ instret, forwardMs, seekMs: worst(seekMs), stepBackMs: worst(stepBackMs), eventBackMs, phaseBackMs }));
