/**
 * What the DMA layer has to say: lines of the kernel's log, and misuse that was
 * caught, whether a kernel would have noticed or not.
 */

export interface Misuse {
  /**
   * What was done wrong, in a word: "unmapped", "freed", "direction", "mask",
   * "missing sync for cpu" …, or a check of dma-debug: "different size" …
   */
  readonly kind: string;
  readonly device: string;
  /** DMA address, or physical where the CPU was caught; -1 where there is none. */
  readonly address: number;
  /** In words; dma-debug's own line where it has one. */
  readonly words: string;
  /** Where the mapping came from, as far as it is known. */
  readonly origin: string | null;
}

/** Why a call of the API was refused. */
export interface DmaRefusal {
  readonly call: string;
  readonly device: string;
  /** "mask", "no bounce pool", "bounce pool full", "no memory", "no mask", "direction" … */
  readonly reason: string;
  /** The kernel's own line; null where it says nothing. */
  readonly message: string | null;
}

export class Reports {
  /** Lines as the kernel would log them, without their time. */
  readonly log: string[] = [];
  readonly misuses: Misuse[] = [];
  /** Why the last call that was refused was refused. */
  lastRefusal: DmaRefusal | null = null;
  readonly #once = new Set<string>();

  say(line: string): void {
    this.log.push(line);
  }

  /** Says a line the first time only that `key` comes. Linux: dev_WARN_ONCE(), pr_err_once() */
  sayOnce(key: string, line: string): void {
    if (this.#once.has(key)) return;
    this.#once.add(key);
    this.log.push(line);
  }

  refuse(call: string, device: string, reason: string, message: string | null = null): void {
    this.lastRefusal = { call, device, reason, message };
  }

  misuse(
    kind: string,
    device: string,
    address: number,
    words: string,
    origin: string | null,
  ): void {
    this.misuses.push({ kind, device, address, words, origin });
  }
}

/** A number as %llx prints it: all ones for what has no limit. */
export function hex(value: number): string {
  if (value === Number.MAX_SAFE_INTEGER || value < 0) return "ffffffffffffffff";
  return value.toString(16);
}

/** As %016llx. */
export function hex16(value: number): string {
  return hex(value).padStart(16, "0");
}
