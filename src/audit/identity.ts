/** What a use is called from run to run: not its line, which moves, but what is written there. */
import type { Use } from "./use.ts";

/** Ids in the order of `uses`: equal uses of one function count up. */
export function identities(uses: readonly Use[]): string[] {
  const seen = new Map<string, number>();
  return uses.map(({ file, function: fn, flag, allocator, text, textual }) => {
    const words = text.replace(/\s+/g, " ");
    const name = `${file}|${fn ?? ""}|${flag}|${allocator ?? ""}|${textual ? words : "reached"}`;
    const count = seen.get(name) ?? 0;
    seen.set(name, count + 1);
    return hash(`${name}|${count}`);
  });
}

/** FNV-1a, twice 32 bits: names, not secrets. http://www.isthe.com/chongo/tech/comp/fnv/ */
function hash(text: string): string {
  let a = 0x811c9dc5;
  let b = 0x01000193;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    a = Math.imul(a ^ code, 0x01000193);
    b = Math.imul(b ^ code, 0x85ebca6b) + a;
  }
  return [a, b].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
}
