// Protocol buffers, the writing half of the wire format: what a trace for Perfetto is made of. Here: fields of the kinds that are needed, messages
// within messages. Not here: which fields there are (perfetto.ts). Encoding: protobuf.dev/programming-guides/encoding.

/** A field begins with its number and one of these. */
const Wire = { Varint: 0, Fixed64: 1, Bytes: 2 } as const;
const utf8 = new TextEncoder();

export class ProtoWriter {
  private bytes = new Uint8Array(65536);
  private view = new DataView(this.bytes.buffer);
  private length = 0;

  /** uint64, enum, bool. @param value a whole number, 0 to 2^53 - 1 */
  uint(field: number, value: number): void {
    this.room(20);
    this.varint(field * 8 + Wire.Varint);
    this.varint(value);
  }
  /** int64, int32: what is negative takes ten bytes, as the format wants. @param value a whole number */
  int(field: number, value: number): void {
    if (value >= 0) {
      this.uint(field, value);
      return;
    }
    this.room(20);
    this.varint(field * 8 + Wire.Varint);
    let left = BigInt.asUintN(64, BigInt(value));
    for (; left > 0x7fn; left >>= 7n) this.bytes[this.length++] = Number(left & 0x7fn) | 0x80;
    this.bytes[this.length++] = Number(left);
  }
  double(field: number, value: number): void {
    this.room(20);
    this.varint(field * 8 + Wire.Fixed64);
    this.view.setFloat64(this.length, value, true);
    this.length += 8;
  }
  text(field: number, value: string): void {
    const encoded = utf8.encode(value);
    this.room(20 + encoded.length);
    this.varint(field * 8 + Wire.Bytes);
    this.varint(encoded.length);
    this.bytes.set(encoded, this.length);
    this.length += encoded.length;
  }
  /** A message within the one that is being written: whatever `fill` writes. */
  message(field: number, fill: () => void): void {
    this.room(10);
    this.varint(field * 8 + Wire.Bytes);
    const start = this.length;
    fill();
    const lenBytes = this.length - start;
    // The length stands before what it counts, which moves to make room for it.
    this.room(10);
    let lenOfLength = 1;
    for (let left = lenBytes; left > 0x7f; left = Math.floor(left / 128)) lenOfLength++;
    this.bytes.copyWithin(start + lenOfLength, start, this.length);
    this.length = start;
    this.varint(lenBytes);
    this.length += lenBytes;
  }
  /** What has been written since the last call; not to be asked inside a message. */
  take(): Uint8Array {
    const taken = this.bytes.slice(0, this.length);
    this.length = 0;
    return taken;
  }

  private varint(value: number): void {
    let left = value;
    while (left > 0x7f) {
      this.bytes[this.length++] = (left % 128) | 0x80;
      left = Math.floor(left / 128);
    }
    this.bytes[this.length++] = left;
  }
  private room(lenBytes: number): void {
    if (this.length + lenBytes <= this.bytes.length) return;
    const larger = new Uint8Array(2 * (this.length + lenBytes));
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
    this.view = new DataView(larger.buffer);
  }
}
