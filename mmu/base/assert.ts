// Who is to blame? The guest gets an errno or a signal; the user a UserError, one sentence that says what to do (exit 2); only our own
// mistake is a bug().

/** The user gave something that cannot work. Printed alone, without a stack; the command ends with `status`. */
export class UserError extends Error {
  /** 2 wrong usage, 126 not runnable, 127 not found (DESIGN section 5). */
  readonly status: number;
  constructor(message: string, status = 2) {
    super(message);
    this.name = 'UserError';
    this.status = status;
  }
}

/** Our own mistake: an invariant does not hold. Never reachable by guest input. */
export class Bug extends Error {
  constructor(message: string) {
    super(`bug in Quire: ${message}`);
    this.name = 'Bug';
  }
}
export function bug(message: string): never {
  throw new Bug(message);
}

/** Checks on paths that run per instruction stand behind this; the bundle for users folds it to false. */
declare const QUIRE_DEBUG: boolean | undefined;
export const DEBUG: boolean = typeof QUIRE_DEBUG === 'undefined' ? true : QUIRE_DEBUG;
