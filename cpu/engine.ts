// The engine that is emitted: its TypeScript side. Here: instantiating the interpreter, running it in pieces, and what it asks for: fetches that the
// filter does not answer, instructions that it has no line for, regions for what has become hot. Not here: the loop itself (interp.ts), regions (jit/).
import { Access, NO_HOST, stampAt, tickAt } from '#mmu';
import type { MissPlan, Mmu, Ram } from '#mmu';
import type { Clocks } from './csr.ts';
import { Layout, MAX_REGIONS } from './emit/layout.ts';
import { basePages } from './emit/level.ts';
import { emitRefill } from './emit/refill.ts';
import type { Hart } from './hart.ts';
import { emitInterpreter, rareOps } from './interp.ts';
import type { Form } from './interp.ts';
import { isCompressed } from './isa/decode.ts';
import type { Decoded } from './isa/decode.ts';
import { Regions } from './jit/cache.ts';
import type { Hotness } from './jit/hotness.ts';
import { BlockCache } from './reference/block.ts';
import { Outcome } from './reference/core.ts';
import type { Core } from './reference/core.ts';
import { fetchStraddling, meanings } from './reference/loop.ts';
import { executeFloat, isFloatOp } from './reference/float.ts';
import { settleWatch, stopsBefore } from './reference/stops.ts';
import { Exit, ExitKind } from './trap.ts';
import { compile, compileInterpreter, instantiate, memoryPages, functionTable } from './wasm-host.ts';

/** Instructions in one call of the interpreter: a WebAssembly frame that runs is never exchanged for better code, so it must end now and then. */
const PIECE_INSTRS = 500_000;

/** As REFILL says (emit/refill.ts). */
type Refill = (address: bigint, kind: number) => number;
interface EmittedRefill { readonly refill: Refill; readonly settle: () => void }

export class EmittedEngine implements Core {
  readonly hart: Hart;
  readonly mmu: Mmu;
  readonly ram: Ram;
  readonly clocks: Clocks;
  readonly blocks: BlockCache;
  readonly exit = new Exit();
  /** Translated regions; null: the interpreter alone. */
  readonly regions: Regions | null;
  private readonly layout: Layout;
  private readonly hotness: Hotness;
  /** What the interpreter imports, but for the function that it asks at a miss. */
  private readonly env: object;
  private interpreter: object;
  private form: Form;
  private step: () => void;
  private refill: EmittedRefill | null = null;
  /** Asked by call so far: refillByCall(). */
  private misses = 0;
  /** Instructions done here that the form has no handler for. */
  private rares = 0;
  private traps = 0;
  /** Tick of the run's first instruction. */
  private first = 0;

  /** @param translates hot code; else all is interpreted. @param fuses use the host's fused multiply-add, which it must have. @param hostMs for the translator's
   *  account of its own time */
  constructor(hart: Hart, mmu: Mmu, ram: Ram, clocks: Clocks, hotness: Hotness, translates: boolean, fuses: boolean, hostMs: () => number) {
    this.hart = hart;
    this.mmu = mmu;
    this.ram = ram;
    this.clocks = clocks;
    this.blocks = new BlockCache(ram.arena, ram, mmu, true);
    this.layout = new Layout(ram.arena, hart, mmu, this.blocks, fuses, ram.nrFrames, hotness);
    const table = translates ? functionTable(MAX_REGIONS) : null;
    this.regions = table === null ? null : new Regions(this, this.layout, table, memoryPages(ram.arena), hotness, hostMs);
    const { regions } = this;
    const plan = mmu.plan();
    if (plan !== null) this.defer(plan);
    if (plan !== null && regions !== null) regions.refill = { take: () => this.takeRefill().refill, lasts: plan.l1.outlives };
    this.env = {
      memory: ram.arena.memory,
      fetch: (stamp: number) => this.fetch(tickAt(stamp)),
      find: (host: number, stamp: number) => this.find(host, tickAt(stamp)),
      slow: (row: number, stamp: number) => this.slow(row, tickAt(stamp)),
      restless: (number: number, stamp: number) => regions?.restless(number, tickAt(stamp)),
      hot: (row: number) => regions?.ask(row, tickAt(this.layout.stamps[0]!)),
      ...(table === null ? {} : { table }),
    };
    this.hotness = hotness;
    this.form = { isChained: !translates && hotness.startInstrs === 0, isWhole: hotness.rares === 0 };
    this.interpreter = this.makeInterpreter();
    this.step = this.begin();
  }
  private makeInterpreter(): object {
    const { layout, mmu, ram, regions, hotness, form } = this;
    return compileInterpreter(emitInterpreter(layout, memoryPages(ram.arena), regions === null ? null : hotness, mmu.plan() !== null, form));
  }
  /** Instances share their module's code, whichever tier of V8's it has reached. */
  private begin(): () => void {
    const refill = this.refill !== null && this.misses >= this.hotness.misses ? this.refill.refill : (address: bigint, kind: number) => this.refillByCall(address, kind);
    return instantiate(this.interpreter, { ...this.env, refill })['run'] as () => void;
  }

  /** Tells the MMU what common misses, done by emitted functions, leave to do. */
  private defer(plan: MissPlan): void {
    const { known } = this.layout;
    const { first, ways } = basePages(plan.l1);
    this.mmu.deferred = {
      settle: () => { if (known.nrNoted !== 0) this.takeRefill().settle(); },
      forget: () => { known.forget(); },
      filled: (vpnLo, vpnHi, entry) => { known.noteWay(vpnLo, vpnHi, (entry - first) % ways); },
    };
  }
  /** Those functions. They are emitted when they are wanted: a short run ends before. */
  private takeRefill(): EmittedRefill {
    const { mmu, ram, layout } = this;
    const missLater = (vpnLo: number, vpnHi: number, kind: number): void => mmu.missLater((vpnHi << 12) | (vpnLo >>> 20), vpnLo << 12, (Access.Load + kind) as Access);
    const walkWouldFind = (vpnLo: number, vpnHi: number): number => {
      if (mmu.walkWouldFind(vpnLo, vpnHi)) return 1;
      layout.known.rest();
      return 0;
    };
    return (this.refill ??= instantiate(compile(emitRefill(mmu.plan()!, layout, ram, memoryPages(ram.arena))), { memory: ram.arena.memory, missLater, walkWouldFind }) as unknown as EmittedRefill);
  }
  /** What the interpreter asks at a miss (REFILL) until there have been so many that it shall call the emitted function itself. */
  private refillByCall(address: bigint, kind: number): number {
    if (++this.misses < this.hotness.misses) return 0;
    const { refill } = this.takeRefill();
    if (this.misses === this.hotness.misses) this.step = this.begin();
    return refill(address, kind);
  }

  /** Where regions do the work, chains cost more to compile than they save; but not where much is refused to regions and will stay the interpreter's. */
  private paysForChains(tick: number): boolean {
    const { regions, hotness } = this;
    return regions === null ? tick >= hotness.startInstrs : regions.counts.refused >= hotness.refusals;
  }
  /** The interpreter is emitted anew. */
  private adopt(form: Form): void {
    this.form = form;
    this.interpreter = this.makeInterpreter();
    this.step = this.begin();
  }

  /** As ReferenceEngine.run. */
  run(budgetInstrs: number): Exit {
    const { hart, exit, regions } = this;
    const { stamps } = this.layout;
    this.blocks.drain();
    this.mmu.publish();
    hart.x[0] = 0n;
    exit.budget();
    this.traps = hart.traps;
    this.first = hart.instret + hart.traps;
    const stop = stampAt(this.first + budgetInstrs);
    stamps[0] = stampAt(this.first);
    while (exit.kind === ExitKind.Budget && stamps[0]! < stop) {
      regions?.makeReady(tickAt(stamps[0]!));
      if (!this.form.isChained && this.paysForChains(tickAt(stamps[0]!))) this.adopt({ ...this.form, isChained: true });
      stamps[1] = Math.min(stop, stamps[0]! + 2 * PIECE_INSTRS);
      this.step();
    }
    this.mmu.settle();
    hart.instret = tickAt(stamps[0]!) - this.traps;
    if (exit.kind === ExitKind.Trap) hart.traps = this.traps + 1;
    else if (this.mmu.watch !== null && this.mmu.watch.hits.length > 0) exit.breakpoint();
    return exit;
  }

  /** A fetch at hart.pc that the filter does not answer, or that may straddle pages. @returns the block's row, or NO_HOST: trapped */
  private fetch(tick: number): number {
    const { hart, mmu, blocks, ram } = this;
    const { pcLo, pcHi } = hart;
    const { exec } = mmu.filter;
    const page = pcLo & ~4095;
    const slot = (pcLo >>> 10) & 0xffc;
    const isShown = (): boolean => exec[slot] === page && exec[slot + 1] === pcHi;
    let counted = 0;
    let host: number;
    if (isShown()) {
      host = (pcLo + exec[slot + 2]!) | 0;
    } else {
      if (stopsBefore(this, pcHi, pcLo, tick, this.first)) return NO_HOST;
      mmu.tick = tick;
      host = mmu.lookup(pcHi, pcLo, Access.Fetch);
      counted = 1;
      if (host === NO_HOST) {
        this.exit.fault(mmu.fault);
        return NO_HOST;
      }
    }
    let row;
    let count = 1;
    if ((pcLo & 4095) === 0xffe && !isCompressed(ram.arena.view.getUint16(host >>> 0, true))) {
      if (counted === 0) {
        if (stopsBefore(this, pcHi, pcLo, tick, this.first)) return NO_HOST;
        mmu.counters.lookups[Access.Fetch]!++;
        ram.arena.f64[exec[slot + 3]! >>> 3] = stampAt(tick);
        counted = 1;
      }
      row = fetchStraddling(this, host, pcHi, pcLo, tick);
      if (row === NO_HOST) return NO_HOST;
    } else {
      if (counted === 0 && stopsBefore(this, pcHi, pcLo, tick, this.first)) return NO_HOST;
      row = blocks.find(host);
      if (counted === 0 || isShown()) count = blocks.operations[row - 1]!;
    }
    this.layout.fetched[0] = count;
    this.layout.fetched[1] = counted;
    this.layout.fetched[2] = counted === 1 && count === 1 ? this.layout.nowhere : exec[slot + 3]!; // stamped already, and the entry may be gone
    return row;
  }

  /** The block at a host offset, where the filter shows the page of hart.pc; NO_HOST: the run stops before it. */
  private find(host: number, tick: number): number {
    return stopsBefore(this, this.hart.pcHi, this.hart.pcLo, tick, this.first) ? NO_HOST : this.blocks.find(host);
  }

  /** The instruction of a row, whole. hart.pc is the block's; counts of fetches are up to date. */
  private slow(row: number, tick: number): Outcome {
    const { hart, blocks } = this;
    const d = blocks.decoded[row]!;
    const { op } = d;
    const outcome = isFloatOp(op) && executeFloat(hart, d) ? Outcome.Next : this.meaningOf(d, row, tick);
    if (rareOps[op] === 1 && outcome !== Outcome.Trap && !this.form.isWhole && ++this.rares > this.hotness.rares) {
      this.adopt({ ...this.form, isWhole: true });
      this.layout.stamps[1] = stampAt(tick + 1); // for the interpreter that is running
      return Outcome.Leave;
    }
    return outcome;
  }
  private meaningOf(d: Decoded, row: number, tick: number): Outcome {
    const { hart, blocks } = this;
    this.mmu.tick = tick;
    hart.instret = tick - this.traps;
    hart.pcLo = (hart.pcLo + blocks.starts[row]!) | 0;
    return settleWatch(this, d, meanings[d.op]!(this, d));
  }
}
