/** Same-length text that a parser of plain C gets along with. */
import type { Conditionals } from "./conditionals.ts";
import type { Lexical } from "./lexical.ts";

/** Words that expand to attributes or nothing: to a parser they are names in odd places. */
const ATTRIBUTE =
  /\b(?:__(?:init|exit|user|iomem|force|maybe_unused|must_check|always_inline|always_unused|used|read_mostly|ro_after_init|devinit|devexit|devinitdata|devinitconst|packed|cold|ref|refdata|initdata|initconst|exitdata|percpu|rcu|bitwise|latent_entropy|net_init|net_exit|init_or_module|sched|kprobes|pure|attribute_const__|cpuinit|weak|visible|hot|deprecated|private|nocast|noreturn|no_kasan_or_inline|cacheline_aligned|cacheline_aligned_in_smp|aligned_u64)|asmlinkage|noinline|notrace|noinline_for_stack|fallthrough|randomized_struct|____cacheline_aligned(?:_in_smp)?)\b/g;

/** A type between commas, as macros take it: `container_of(p, struct x, member)`. */
const TYPE_ARGUMENT = /(?<=,\s*)(?:struct|union|enum)(?=\s+\w+\s*,)/g;
const FIRST_DIRECTIVE = /^[ \t]*#/;

/** For the parser: comments, insides of strings, attributes and torn branches are spaces. */
export function parseText({ bare }: Lexical, { torn }: Conditionals): string {
  const plain = bare
    .replace(ATTRIBUTE, (word) => " ".repeat(word.length))
    .replace(TYPE_ARGUMENT, (word) => " ".repeat(word.length));
  if (torn.length === 0) return plain;
  const lines = plain.split("\n");
  for (const [first, last] of torn) {
    // With the directives on both sides, which a parser could not nest.
    for (let line = first - 1; line <= last + 1; line++) {
      lines[line - 1] = (lines[line - 1] ?? "").replace(/./g, " ");
    }
  }
  return lines.join("\n");
}

/** For brackets: directives with their continuations are spaces too, and torn branches. */
export function bracketText(text: string): string {
  if (!text.includes("#")) return text;
  const lines = text.split("\n");
  let inside = false;
  for (const [index, line] of lines.entries()) {
    if (!inside && !FIRST_DIRECTIVE.test(line)) continue;
    inside = line.endsWith("\\");
    lines[index] = " ".repeat(line.length);
  }
  return lines.join("\n");
}
