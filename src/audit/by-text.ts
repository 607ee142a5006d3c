/** What a word is where no parse says it: read off the characters around it. */
import type { Role } from "./facts.ts";
import type { RawCall } from "./raw.ts";

/** How far back the open bracket of a call is looked for. */
const BACK = 600;

/** The role of a flag at [start, end) of `bare`. */
export function roleByText(bare: string, start: number, end: number): Role {
  const before = bare.slice(Math.max(0, start - BACK), start);
  const after = bare.slice(end, end + 40);
  if (/~\s*\(?[\w\s|]*$/.test(before)) return "clear";
  if (/[^&]&\s*\(?\s*$/.test(before) || /^\s*\)?\s*&[^&]/.test(after)) return "test";
  if (/case\s+$/.test(before) || /[=!]=\s*$/.test(before)) return "test";
  if (/[(,|=?:]\s*$/.test(before) || /^\s*[|,);]/.test(after)) return "value";
  return "mention";
}

/** The call whose open bracket is nearest before an offset. */
export function callByText(bare: string, offset: number, fn: string | null): RawCall | null {
  let depth = 0;
  for (let at = offset - 1; at >= 0 && at > offset - BACK; at--) {
    const character = bare[at];
    if (character === ";" || character === "{" || character === "}") return null;
    if (character === ")") depth++;
    else if (character === "(" && depth > 0) depth--;
    else if (character === "(") {
      const name = /([A-Za-z_]\w*)\s*$/.exec(bare.slice(Math.max(0, at - 80), at))?.[1];
      if (name !== undefined && !/^(if|while|for|switch|return|sizeof)$/.test(name)) {
        return { callee: name, offset: at, fn, args: argumentsAt(bare, at), target: null };
      }
    }
  }
  return null;
}

/** Place of the argument that holds an offset. */
export function argumentIndex(bare: string, call: RawCall, offset: number): number {
  let depth = 0;
  let index = 0;
  for (let at = call.offset + 1; at < offset; at++) {
    const character = bare[at];
    if (character === "(") depth++;
    else if (character === ")") depth--;
    else if (character === "," && depth === 0) index++;
  }
  return index;
}

function argumentsAt(bare: string, open: number): string[] {
  const args: string[] = [];
  let depth = 0;
  let from = open + 1;
  for (let at = open; at < Math.min(bare.length, open + BACK); at++) {
    const character = bare[at];
    if (character === "(") depth++;
    else if (character === ")") depth--;
    if (depth === 0 || (character === "," && depth === 1)) {
      args.push(bare.slice(from, at).trim().replace(/\s+/g, " ").slice(0, 60));
      from = at + 1;
    }
    if (depth === 0) break;
  }
  return args;
}
