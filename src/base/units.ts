/**
 * Amounts of memory as people and kernels write them.
 */

const STEPS = ["", "K", "M", "G", "T", "P", "E"];

/**
 * Bytes for people, in powers of 1024: exact when whole ("512 MiB", "4 KiB"),
 * with one decimal otherwise ("11.7 MiB").
 */
export function formatBytes(bytes: number): string {
  if (!Number.isFinite(bytes)) return "all of memory";
  let step = 0;
  let amount = bytes;
  while (amount >= 1024 && step < STEPS.length - 1) {
    amount /= 1024;
    step++;
  }
  const unit = step === 0 ? "B" : `${STEPS[step]}iB`;
  // 1023.96 KiB would round up to 1024.0: say it in the next unit.
  if (amount >= 1023.95 && step < STEPS.length - 1) return `1 ${STEPS[step + 1]}iB`;
  return `${Number.isInteger(amount) ? amount : amount.toFixed(1)} ${unit}`;
}

/** Whole number with thin groups: 1 044 480. */
export function formatCount(n: number): string {
  return String(n).replace(/\B(?=(\d{3})+(?!\d))/g, " ");
}

/** `0x…` of an address, at least `digits` wide. */
export function formatAddress(address: number, digits = 8): string {
  return `0x${address.toString(16).padStart(digits, "0")}`;
}

/**
 * A size as a user types it: digits in base 10, 16 (0x) with an optional suffix
 * K, M, G, T, P or E in either case, optionally followed by B or iB. Returns
 * null for anything else and for sizes beyond 2^53 - 1 bytes.
 */
export function parseSize(text: string): number | null {
  const match = /^(0x[0-9a-f]+|\d+(?:\.\d+)?)\s*(?:([kmgtpe])(?:i?b)?|b)?$/i.exec(text.trim());
  if (match === null) return null;
  const step = STEPS.indexOf((match[2] ?? "").toUpperCase());
  const bytes = Number(match[1]) * 1024 ** step;
  return Number.isSafeInteger(bytes) ? bytes : null;
}
