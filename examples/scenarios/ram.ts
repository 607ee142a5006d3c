// One buffer for the RAM of every PC that is run: 9 GiB of addresses, of which only the pages that are
// written become memory. A machine starts where the last one stopped, so nobody may count on zeros.
import { GIB } from "./machines.ts";

/** The end of RAM of a PC with 8 GiB. */
const END = 9 * GIB;
let shared: Uint8Array | null = null;

/** Whether this machine gives so many addresses. */
export function canHaveRam(): boolean {
  try {
    return pcRam().byteLength === END;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

export function pcRam(): Uint8Array {
  shared ??= new Uint8Array(END);
  return shared;
}
