// What a run says, its output and the kernel's messages, when parts of it run again and again: each is shown once. Here: how far the run has said
// something, and how far it was shown. Not here: the run (runner.ts).
import type { OutputChunk } from '#kernel';
import type { Session } from '../boot.ts';

/** How much was said up to a moment: belongs to the state. */
export interface Said { readonly bytes: { readonly 1: number; readonly 2: number }; readonly messages: number }

export class ShownOnce {
  private bytes = { 1: 0, 2: 0 };
  private messages = 0;
  private readonly shown = { 1: 0, 2: 0 };
  private shownMessages = 0;
  private fresh: OutputChunk[] = [];
  private freshMessages: string[] = [];

  get said(): Said {
    return { bytes: { ...this.bytes }, messages: this.messages };
  }
  /** The run was put back to a moment. */
  putBack({ bytes, messages }: Said): void {
    this.bytes = { ...bytes };
    this.messages = messages;
  }
  /** From here on it is another run: what it says was not shown yet. */
  forgetAhead(): void {
    for (const fd of [1, 2] as const) this.shown[fd] = Math.min(this.shown[fd], this.bytes[fd]);
    this.shownMessages = Math.min(this.shownMessages, this.messages);
  }
  /** Takes what the session has said since the last time. */
  collect(session: Session): void {
    const { bytes: said, shown } = this;
    for (const { fd, bytes } of session.takeOutput()) {
      const from = said[fd];
      said[fd] += bytes.length;
      if (said[fd] <= shown[fd]) continue;
      this.fresh.push({ fd, bytes: bytes.subarray(Math.max(0, shown[fd] - from)) });
      shown[fd] = said[fd];
    }
    for (const message of session.takeLog()) {
      if (++this.messages <= this.shownMessages) continue;
      this.shownMessages = this.messages;
      this.freshMessages.push(message);
    }
  }
  takeOutput(): OutputChunk[] {
    const { fresh } = this;
    this.fresh = [];
    return fresh;
  }
  takeMessages(): string[] {
    const { freshMessages } = this;
    this.freshMessages = [];
    return freshMessages;
  }
}
