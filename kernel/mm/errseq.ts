// Errors of writes that happened when nobody was waiting, told to everybody who asks, once each. Mirrors lib/errseq.c.

/** The last error, and how many there were. Who opens a file notes where it stands, and is told of what came after; an error that nobody has
 *  been told yet is told to who opens later, too. */
export class ErrorSequence {
  /** -EIO, -ENOSPC; 0: there never was one. */
  error = 0;
  seq = 0;
  private isSeen = true;

  set(error: number): void {
    if (error === this.error && !this.isSeen) return;
    this.error = error;
    this.seq++;
    this.isSeen = false;
  }
  /** Where an open file begins. */
  sample(): number {
    return this.isSeen ? this.seq : this.seq - 1;
  }
  /** Is there something that came after `since`? Its teller notes `seq` afterwards. @returns 0 or -errno */
  check(since: number): number {
    if (since === this.seq) return 0;
    this.isSeen = true;
    return this.error;
  }
}
