// The host's clock. Node's `performance` brings a dozen modules with it when it is first touched, which takes longer than a small guest does.
declare const process: { hrtime(): [seconds: number, nanoseconds: number] } | undefined;

/** Milliseconds since some moment. */
export const nowMs: () => number = typeof process === 'undefined' ? () => performance.now() : () => {
  const [seconds, nanoseconds] = process.hrtime();
  return 1e3 * seconds + nanoseconds / 1e6;
};
