/**
 * The third kind of trouble: a bug of ours. Nobody catches an `AssertionError`.
 *
 * Messages are constants; the number that was wrong comes apart, because a
 * template literal is built even when nothing is wrong.
 */

/** Thrown by `assert`; never part of a public contract. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Throws when `condition` is false: the caller, or this program, has a bug. */
export function assert(condition: boolean, message: string, value?: number): asserts condition {
  if (condition) return;
  throw new AssertionError(value === undefined ? message : `${message} (${value})`);
}
