// Reads a Perfetto trace knowing nothing of who wrote it: protocol buffers by the rules of the wire format, fields by the numbers in Perfetto's public
// .proto files (protos/perfetto/trace/{trace,trace_packet}.proto, track_event/*.proto, interned_data/interned_data.proto), slices as trace_processor
// builds them. protobufjs would need those files, or a schema typed in here as well; the wire format itself is the forty lines above the table.

type Field = { readonly number: number; readonly wire: number; readonly value: bigint; readonly bytes: Uint8Array };

export function fieldsOf(bytes: Uint8Array): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): bigint => {
    let [value, shift] = [0n, 0n];
    for (;;) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error('a varint ends with the message');
      value |= BigInt(byte & 0x7f) << shift;
      shift += 7n;
      if ((byte & 0x80) === 0) return BigInt.asUintN(64, value);
      if (shift > 63n) throw new Error('a varint of more than ten bytes');
    }
  };
  while (at < bytes.length) {
    const key = Number(varint());
    const [number, wire] = [key >>> 3, key & 7];
    if (number === 0) throw new Error('field 0');
    if (wire === 0) fields.push({ number, wire, value: varint(), bytes: new Uint8Array(0) });
    else if (wire === 1 || wire === 5 || wire === 2) {
      const length = wire === 1 ? 8 : wire === 5 ? 4 : Number(varint());
      if (at + length > bytes.length) throw new Error(`field ${number} is longer than its message`);
      fields.push({ number, wire, value: 0n, bytes: bytes.subarray(at, at + length) });
      at += length;
    } else throw new Error(`wire type ${wire} of field ${number}`);
  }
  return fields;
}
const all = (fields: readonly Field[], number: number): Field[] => fields.filter((f) => f.number === number);
const one = (fields: readonly Field[], number: number): Field | undefined => all(fields, number).at(-1);
const uint = (fields: readonly Field[], number: number): number => Number(one(fields, number)?.value ?? 0n);
const int = (fields: readonly Field[], number: number): number => Number(BigInt.asIntN(64, one(fields, number)?.value ?? 0n));
const text = (fields: readonly Field[], number: number): string | undefined => { const f = one(fields, number); return f === undefined ? undefined : new TextDecoder('utf-8', { fatal: true }).decode(f.bytes); };
const sub = (fields: readonly Field[], number: number): Field[] | undefined => { const f = one(fields, number); return f === undefined ? undefined : fieldsOf(f.bytes); };

export interface ReadTrack { readonly uuid: number; readonly parent: number; readonly name: string; readonly kind: 'process' | 'thread' | 'counter' | 'row'; readonly pid: number; readonly tid: number; readonly unit: number }
export interface ReadSlice { readonly track: ReadTrack; readonly name: string; readonly category: string; readonly start: number; end: number; readonly depth: number; readonly args: Record<string, string | number>; readonly parent: ReadSlice | null }
export interface ReadCounter { readonly track: ReadTrack; readonly ns: number; readonly value: number }
export interface ReadTrace { readonly tracks: ReadTrack[]; readonly slices: ReadSlice[]; readonly instants: { track: ReadTrack; ns: number; name: string }[]; readonly counters: ReadCounter[]; readonly packets: number }

/** Throws where a reader would drop data: unknown names or tracks, an end without a beginning, a beginning without an end, time that goes back. */
export function readPerfetto(bytes: Uint8Array): ReadTrace {
  const tracks = new Map<number, ReadTrack>();
  const names: Record<number, Map<number, string>> = { 1: new Map(), 2: new Map(), 3: new Map() };
  const open = new Map<number, ReadSlice[]>();
  const trace: ReadTrace = { tracks: [], slices: [], instants: [], counters: [], packets: 0 };
  let lastNs = 0;
  let packets = 0;
  for (const packet of fieldsOf(bytes)) {
    if (packet.number !== 1) throw new Error(`field ${packet.number} in a Trace`);
    const fields = fieldsOf(packet.bytes);
    const flags = uint(fields, 13);
    if (uint(fields, 10) === 0) throw new Error('a packet of no sequence');
    if ((packets++ === 0) !== ((flags & 1) !== 0)) throw new Error('the first packet, and it alone, clears the state');
    for (const [list, known] of Object.entries(names)) {
      for (const entry of all(sub(fields, 12) ?? [], Number(list))) {
        const row = fieldsOf(entry.bytes);
        const iid = uint(row, 1);
        if (iid === 0 || known.has(iid)) throw new Error(`iid ${iid} told twice`);
        known.set(iid, text(row, 2)!);
      }
    }
    const interned = (list: number, iid: number): string => {
      if ((flags & 3) === 0) throw new Error('interned names need the state');
      const name = names[list]!.get(iid);
      if (name === undefined) throw new Error(`iid ${iid} of list ${list} is not known`);
      return name;
    };
    const descriptor = sub(fields, 60);
    if (descriptor !== undefined) {
      const [process, thread, counter] = [sub(descriptor, 3), sub(descriptor, 4), sub(descriptor, 8)];
      const kind = process !== undefined ? 'process' : thread !== undefined ? 'thread' : counter !== undefined ? 'counter' : 'row';
      const about = process ?? thread;
      const track: ReadTrack = { uuid: uint(descriptor, 1), parent: uint(descriptor, 5), kind, name: text(descriptor, 2) ?? text(about ?? [], process === undefined ? 5 : 6)!, pid: int(about ?? [], 1), tid: int(thread ?? [], 2), unit: uint(counter ?? [], 3) };
      if (track.uuid === 0) throw new Error('a track without uuid');
      if (track.parent !== 0 && !tracks.has(track.parent)) throw new Error(`track ${track.uuid} stands below one that is not known`);
      tracks.set(track.uuid, track);
    }
    const event = sub(fields, 11);
    if (event === undefined) continue;
    const ns = uint(fields, 8);
    if (ns < lastNs) throw new Error(`time goes back from ${lastNs} to ${ns}`);
    lastNs = ns;
    const track = tracks.get(uint(event, 11));
    if (track === undefined) throw new Error(`an event of track ${uint(event, 11)}, which is not known`);
    const stack = open.get(track.uuid) ?? [];
    open.set(track.uuid, stack);
    const args = Object.fromEntries(all(event, 4).map((annotation) => {
      const a = fieldsOf(annotation.bytes);
      return [interned(3, uint(a, 1)), text(a, 6) ?? (one(a, 7) !== undefined ? uint(a, 7) : one(a, 5) !== undefined ? new DataView(one(a, 5)!.bytes.slice().buffer).getFloat64(0, true) : int(a, 4))];
    }));
    const name = (): string => interned(2, uint(event, 10));
    switch (uint(event, 9)) {
      case 1: {
        const slice: ReadSlice = { track, name: name(), category: interned(1, uint(event, 3)), start: ns, end: -1, depth: stack.length, args, parent: stack.at(-1) ?? null };
        stack.push(slice);
        trace.slices.push(slice);
        break;
      }
      case 2: {
        const slice = stack.pop();
        if (slice === undefined) throw new Error(`an end on ${track.name} without a beginning`);
        slice.end = ns;
        Object.assign(slice.args, args);
        break;
      }
      case 3: trace.instants.push({ track, ns, name: name() }); break;
      case 4:
        if (track.kind !== 'counter') throw new Error(`a count on ${track.name}`);
        trace.counters.push({ track, ns, value: int(event, 30) });
        break;
      default: throw new Error(`event type ${uint(event, 9)}`);
    }
  }
  for (const [uuid, stack] of open) if (stack.length > 0) throw new Error(`${stack.length} slices of ${tracks.get(uuid)!.name} are never ended`);
  return { ...trace, tracks: [...tracks.values()], packets };
}
