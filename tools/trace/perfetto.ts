// Tracks as Perfetto reads them (ui.perfetto.dev, trace_processor): its native format, TrackEvents in protocol buffers. Here: field numbers, packets,
// interned names. Not here: what happens on which track (tracks.ts). Mirrors protos/perfetto/trace/ of the Perfetto project: trace_packet.proto,
// track_event/{track_event,track_descriptor,debug_annotation,counter_descriptor}.proto, interned_data.proto.
//
// A trace is packets, one after the other. Names that come again are told once, with a number, in the first packet that uses them; so a packet says
// that it needs what came before it in its sequence, of which there is one.
import { ProtoWriter } from './protobuf.ts';
import type { Arg, Track, TrackWriter } from './tracks.ts';

const Trace = { packet: 1 } as const;
const Packet = { timestamp: 8, sequenceId: 10, trackEvent: 11, internedData: 12, sequenceFlags: 13, trackDescriptor: 60 } as const;
const SequenceFlag = { StateCleared: 1, NeedsState: 2 } as const;
const Descriptor = { uuid: 1, name: 2, process: 3, thread: 4, parentUuid: 5, counter: 8 } as const;
const Process = { pid: 1, name: 6 } as const;
const Thread = { pid: 1, tid: 2, name: 5 } as const;
const Counter = { unit: 3 } as const;
const Unit = { count: 2, bytes: 3 } as const;
const Event = { categoryIid: 3, annotation: 4, type: 9, nameIid: 10, trackUuid: 11, counterValue: 30 } as const;
const EventType = { Begin: 1, End: 2, Instant: 3, Counter: 4 } as const;
const Annotation = { nameIid: 1, intValue: 4, doubleValue: 5, textValue: 6, pointerValue: 7 } as const;
const Interned = { categories: 1, names: 2, annotationNames: 3 } as const;
const InternedName = { iid: 1, name: 2 } as const;
const SEQUENCE = 1;

/** Names by the list of InternedData they stand in. */
class Names {
  private readonly iids = new Map<string, number>();
  /** Those of the packet under way that are new. */
  readonly fresh: string[] = [];
  of(name: string): number {
    const known = this.iids.get(name);
    if (known !== undefined) return known;
    this.iids.set(name, this.iids.size + 1);
    this.fresh.push(name);
    return this.iids.size;
  }
}

export class PerfettoWriter implements TrackWriter {
  private readonly out = new ProtoWriter();
  private readonly names = { [Interned.categories]: new Names(), [Interned.names]: new Names(), [Interned.annotationNames]: new Names() };
  private isFirst = true;

  describe(track: Track): void {
    this.packet(null, () => {
      const { out } = this;
      out.message(Packet.trackDescriptor, () => {
        out.uint(Descriptor.uuid, track.id);
        if (track.parent !== null) out.uint(Descriptor.parentUuid, track.parent.id);
        if (track.kind === 'row' || track.kind === 'counter') out.text(Descriptor.name, track.name);
        if (track.kind === 'process') {
          out.message(Descriptor.process, () => {
            out.int(Process.pid, track.pid);
            out.text(Process.name, track.name);
          });
        }
        if (track.kind === 'thread') {
          out.message(Descriptor.thread, () => {
            out.int(Thread.pid, track.pid);
            out.int(Thread.tid, track.tid);
            out.text(Thread.name, track.name);
          });
        }
        if (track.kind === 'counter') out.message(Descriptor.counter, () => { out.uint(Counter.unit, Unit[track.unit]); });
      });
    });
  }
  begin(track: Track, ns: number, category: string, name: string, args: readonly Arg[]): void {
    this.named(EventType.Begin, track, ns, category, name, args);
  }
  instant(track: Track, ns: number, category: string, name: string, args: readonly Arg[]): void {
    this.named(EventType.Instant, track, ns, category, name, args);
  }
  end(track: Track, ns: number, args: readonly Arg[]): void {
    this.event(EventType.End, track, ns, () => { this.annotate(args); });
  }
  counter(track: Track, ns: number, value: number): void {
    this.event(EventType.Counter, track, ns, () => { this.out.int(Event.counterValue, value); });
  }
  take(): Uint8Array {
    return this.out.take();
  }

  private named(type: number, track: Track, ns: number, category: string, name: string, args: readonly Arg[]): void {
    this.event(type, track, ns, () => {
      this.out.uint(Event.categoryIid, this.names[Interned.categories].of(category));
      this.out.uint(Event.nameIid, this.names[Interned.names].of(name));
      this.annotate(args);
    });
  }
  private event(type: number, track: Track, ns: number, fill: () => void): void {
    this.packet(ns, () => {
      this.out.message(Packet.trackEvent, () => {
        this.out.uint(Event.type, type);
        this.out.uint(Event.trackUuid, track.id);
        fill();
      });
    });
  }
  private annotate(args: readonly Arg[]): void {
    const { out } = this;
    for (const { name, value, isAddress } of args) {
      out.message(Event.annotation, () => {
        out.uint(Annotation.nameIid, this.names[Interned.annotationNames].of(name));
        if (typeof value === 'string') out.text(Annotation.textValue, value);
        else if (!Number.isSafeInteger(value)) out.double(Annotation.doubleValue, value);
        else if (isAddress === true && value >= 0) out.uint(Annotation.pointerValue, value);
        else out.int(Annotation.intValue, value);
      });
    }
  }
  private packet(ns: number | null, fill: () => void): void {
    const { out } = this;
    out.message(Trace.packet, () => {
      if (ns !== null) out.uint(Packet.timestamp, ns);
      out.uint(Packet.sequenceId, SEQUENCE);
      out.uint(Packet.sequenceFlags, this.isFirst ? SequenceFlag.StateCleared : SequenceFlag.NeedsState);
      fill();
      if (Object.values(this.names).some(({ fresh }) => fresh.length > 0)) out.message(Packet.internedData, () => { this.tellNames(); });
    });
    this.isFirst = false;
  }
  private tellNames(): void {
    const { out } = this;
    for (const [list, names] of Object.entries(this.names)) {
      for (const name of names.fresh.splice(0)) {
        out.message(Number(list), () => {
          out.uint(InternedName.iid, names.of(name));
          out.text(InternedName.name, name);
        });
      }
    }
  }
}
