/**
 * The engine as it would be if it could not tell anybody what it does, and had no bytes: its sources
 * with those statements cut out. What the rest is faster by is what they cost where they are off.
 */
import type { Plugin } from "rolldown";

interface Cut {
  readonly what: string;
  readonly pattern: RegExp;
}

const CUTS: readonly Cut[] = [
  { what: "calls of the sink", pattern: /^ *m\.events\?\.\w+\(.*\);$/gm },
  {
    what: "the loop that wakes every zone",
    pattern: /^ *if \(m\.gfp\.kswapd === 0 [^\n]*\) wakeAll\([^\n]*\);$/gm,
  },
  { what: "zeroing", pattern: /^ *if \(\(gfp & (?:m\.gfp\.)?zero\) !== 0\) zeroPages\(.*\);$/gm },
  { what: "the question for zeroing", pattern: / \| \(gfp & zero\)/g },
];

/** Cuts while it bundles; throws where the sources have nothing of a kind any more. */
export function withoutExtras(): Plugin {
  const left = new Set(CUTS);
  return {
    name: "without-extras",
    transform(code, id) {
      if (!/src[/\\]mm[/\\]/.test(id)) return null;
      return CUTS.reduce((rest, cut) => {
        const shorter = rest.replaceAll(cut.pattern, "");
        if (shorter !== rest) left.delete(cut);
        return shorter;
      }, code);
    },
    buildEnd(error) {
      const [first] = left;
      if (error === undefined && first !== undefined)
        throw new Error(`bench/without-extras.ts finds no trace of ${first.what} in src/mm/`);
    },
  };
}
