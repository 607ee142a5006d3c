/**
 * Rules for how much memory there is: the `Memory:` line, what is freed after
 * it, low and high memory of 32-bit machines, hash tables and the log buffer.
 *
 *   Memory: 1373748K/4193772K available (12295K kernel code, …, 0K cma-reserved)    since 3.9
 *   Memory: 2067136k/2097088k available (2577k kernel code, …, 1179584k highmem)    before
 *
 * Linux: mem_init_print_info(), mm/mm_init.c; free_reserved_area(), mm/page_alloc.c
 */
import { type Draft, keep } from "./boot-log-draft.ts";
import { decimal, exclusive, filled, hex, type Rule, type Verdict } from "./boot-log-rule.ts";

/** Words of the line's parenthesis, of all kernels; "data" was .data with .rodata. */
const MEMORY_PARTS: ReadonlyMap<string, string> = new Map([
  ["kernel code", "kernelCodeKib"],
  ["code", "kernelCodeKib"],
  ["rwdata", "rwdataKib"],
  ["data", "rwdataKib"],
  ["rodata", "rodataKib"],
  ["init", "initKib"],
  ["bss", "bssKib"],
  ["reserved", "reservedKib"],
  ["cma-reserved", "cmaReservedKib"],
  ["highmem", "highmemKib"],
  ["absent", "absentKib"],
]);

function readMemory(draft: Draft, found: RegExpExecArray, line: number): Verdict {
  const [, available, total, inParentheses, bare] = found;
  const parts = new Map<string, number>();
  for (const item of (inParentheses ?? bare ?? "").split(", ")) {
    const part = /^(\d+)[Kk] (.+)$/.exec(item);
    const field = part === null ? undefined : MEMORY_PARTS.get(filled(part[2]));
    if (part === null) return "garbled";
    if (field !== undefined) parts.set(field, decimal(part[1]));
  }
  const kib = (field: string): number => parts.get(field) ?? 0;
  draft.log.memory ??= {
    line,
    availableKib: decimal(available),
    totalKib: decimal(total),
    kernelCodeKib: kib("kernelCodeKib"),
    rwdataKib: kib("rwdataKib"),
    rodataKib: kib("rodataKib"),
    initKib: kib("initKib"),
    bssKib: kib("bssKib"),
    reservedKib: kib("reservedKib"),
    cmaReservedKib: kib("cmaReservedKib"),
    highmemKib: kib("highmemKib"),
    absentKib: kib("absentKib"),
  };
  return "read";
}

const TOTAL_RULES: readonly Rule[] = [
  {
    what: "Memory: line",
    start: "Memory: ",
    loose: true,
    sure: /^Memory: \d+[Kk]\//,
    pattern: /^Memory: (\d+)[Kk]\/(\d+)[Kk] available(?: \((.*)\)|, (.*))$/,
    read: readMemory,
  },
  {
    what: "memory policy",
    start: "Memory policy: ",
    pattern: /^Memory policy: (.+)$/,
    read: (draft, [, policy]) => {
      draft.log.memoryPolicy ??= filled(policy);
      return "read";
    },
  },
  {
    what: "low or high memory",
    start: "",
    loose: true,
    pattern: /^(\d+)MB (LOWMEM|HIGHMEM) available\.$/,
    read: (draft, [, mib, which]) => {
      if (which === "LOWMEM") draft.log.lowmemMib ??= decimal(mib);
      else draft.log.highmemMib ??= decimal(mib);
      return "read";
    },
  },
  {
    what: "end of low memory",
    start: "low ram: ",
    pattern: /^low ram: [0-9a-f]+ - ([0-9a-f]+)$/,
    read: (draft, [, end]) => {
      draft.log.lowRamEnd ??= hex(end);
      return "read";
    },
  },
];

const FREED_RULES: readonly Rule[] = [
  {
    what: "freed memory",
    start: "Freeing ",
    loose: true,
    sure: /^Freeing (?:initrd|unused|SMP alternatives)/,
    pattern:
      /^Freeing ((?!.*: .*:).+?)(?: memory)?: (\d+)[Kk](?: freed)?(?: \((?:0x)?(\w+) - (?:0x)?(\w+)\))?$/,
    read: (draft, [, what, kib, start, end], line) => {
      const range = isHex(start) && isHex(end) ? exclusive(start, end) : null;
      const exact = range !== null && range.end < Number.MAX_SAFE_INTEGER;
      const entry = { line, what: filled(what), kib: decimal(kib), range: exact ? range : null };
      keep(draft, draft.log.freed, entry);
      return "read";
    },
  },
  {
    // Kernels with the fix of 2026 say how much in all; those before it each range (lateFrees).
    what: "freed memory",
    start: "efi: Freeing ",
    pattern: /^efi: Freeing (EFI boot services) memory: (\d+)K$/,
    read: (draft, [, what, kib], line) => {
      keep(draft, draft.log.freed, { line, what: filled(what), kib: decimal(kib), range: null });
      return "read";
    },
  },
];

/** Since %p is hashed the ends of a range may be words such as `____ptrval____`. */
function isHex(group: string | undefined): boolean {
  return group !== undefined && /^[0-9a-f]+$/.test(group);
}

const EARLY_ALLOCATION_RULES: readonly Rule[] = [
  ...["Dentry cache", "Inode-cache"].map(
    (start): Rule => ({
      what: "hash table",
      start: `${start} hash table entries:`,
      pattern: /^(.+) hash table entries: (\d+) \(order: -?\d+, (\d+) bytes(?:, ([\w ]+))?\)$/,
      read: (draft, [, name, entries, bytes, how]) => {
        keep(draft, draft.log.hashTables, {
          name: filled(name),
          entries: decimal(entries),
          bytes: decimal(bytes),
          how: how ?? null,
        });
        return "read";
      },
    }),
  ),
  ...["printk: log_buf_len: ", "log_buf_len: "].map(
    (start): Rule => ({
      what: "log buffer",
      start,
      pattern: /log_buf_len: (\d+)(?: bytes)?$/,
      read: (draft, [, bytes]) => {
        draft.log.logBufBytes ??= decimal(bytes);
        return "read";
      },
    }),
  ),
];

export const MEMORY_RULES: readonly Rule[] = [
  ...TOTAL_RULES,
  ...FREED_RULES,
  ...EARLY_ALLOCATION_RULES,
];
