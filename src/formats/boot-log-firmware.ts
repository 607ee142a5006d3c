/**
 * Rules for what firmware told the kernel: the e820 map and its edits, EFI's
 * map, the machine's name and the devicetree's reserved memory.
 *
 * Since 3.5 a range is printed `[mem first-last]`, before that `start - end`
 * with the first byte behind it.
 *
 * Linux: e820__print_table(), arch/x86/kernel/e820.c; efi_print_memmap(),
 * arch/x86/platform/efi/efi.c; drivers/of/of_reserved_mem.c
 */
import type { FirmwareRange } from "./boot-log.ts";
import type { Draft } from "./boot-log-draft.ts";
import {
  decimal,
  exclusive,
  filled,
  hex,
  inclusive,
  keepRange,
  type Rule,
  scaled,
  sized,
  type Verdict,
} from "./boot-log-rule.ts";

/** A map line: modern range, size of the newest kernels, type | old range and type. */
const MAP_LINE =
  /^[\w-]+: (?:\[mem 0x([0-9a-f]+)-0x([0-9a-f]+)\] (?: *[\d.]+ +[KMGT]?B )?([A-Za-z][\w ()]*)|([0-9a-f]+) - ([0-9a-f]+) \(([\w ]+)\))$/;
const GAP_LINE = /^[\w-]+: \[gap 0x[0-9a-f]+-0x[0-9a-f]+\]/;

/** The words for types: anything that one of them starts with was cut short. */
const TYPES = ["usable", "reserved", "ACPI data", "ACPI NVS", "unusable", "soft reserved"];
/** Words of the newest kernels for what all others print. */
const RENAMED_TYPES: ReadonlyMap<string, string> = new Map([
  ["System RAM", "usable"],
  ["device reserved", "reserved"],
]);

/** Names under which x86 prints the map it starts from; a Xen guest's comes from the hypervisor. */
const FIRMWARE_MAPS = ["BIOS-e820", "BIOS-88", "BIOS-e801", "Xen"];

function mapRule(what: string, source: string, list: (draft: Draft) => FirmwareRange[]): Rule {
  return {
    what,
    start: `${source}: `,
    pattern: new RegExp(`${MAP_LINE.source}|${GAP_LINE.source}`),
    // Other messages start with "user:" and "modified:" as well.
    loose: source !== "BIOS-e820",
    read: (draft, found) => {
      const [, first, last, type, start, end, oldType] = found;
      if (first !== undefined)
        return readRange(draft, list(draft), inclusive(first, last), filled(type));
      if (start !== undefined)
        return readRange(draft, list(draft), exclusive(start, end), filled(oldType));
      return "read"; // a gap: nothing is there
    },
  };
}

function readRange(
  draft: Draft,
  list: FirmwareRange[],
  range: { start: number; end: number },
  printed: string,
): Verdict {
  const type = RENAMED_TYPES.get(printed) ?? printed;
  if (TYPES.some((whole) => whole !== type && whole.startsWith(type))) return "garbled";
  return keepRange(draft, list, { ...range, type });
}

const E820_RULES: readonly Rule[] = [
  ...FIRMWARE_MAPS.map((source) => mapRule("e820 map", source, (draft) => draft.log.e820)),
  mapRule("e820 map of the user", "user", (draft) => draft.log.userMap),
  {
    // Each printing of the modified map replaces the one before.
    what: "heading of the modified e820 map",
    start: "modified physical RAM map:",
    pattern: /./,
    read: (draft) => {
      draft.log.modifiedMap = [];
      return "read";
    },
  },
  mapRule("modified e820 map", "modified", (draft) => draft.log.modifiedMap),
  {
    what: "e820 edit",
    start: "e820: update [mem",
    pattern: /^e820: update \[mem 0x([0-9a-f]+)-0x([0-9a-f]+)\] ([\w ()]+) ==> ([\w ()]+)$/,
    read: (draft, [, first, last, from, to], line) => {
      const edit = { ...inclusive(first, last), line, from: filled(from), to: filled(to) };
      return keepRange(draft, draft.log.e820Edits, edit);
    },
  },
  {
    what: "e820 edit",
    start: "e820: remove [mem",
    pattern: /^e820: remove \[mem 0x([0-9a-f]+)-0x([0-9a-f]+)\] ?([\w ()]*)$/,
    read: (draft, [, first, last, from], line) => {
      return keepRange(draft, draft.log.e820Edits, {
        ...inclusive(first, last),
        line,
        from: filled(from),
        to: null,
      });
    },
  },
  {
    what: "e820 edit",
    start: "e820 update range:",
    pattern: /^e820 update range: ([0-9a-f]+) - ([0-9a-f]+) \(([\w ]+)\) ==> \(([\w ]+)\)$/,
    read: (draft, [, start, end, from, to], line) => {
      const edit = { ...exclusive(start, end), line, from: filled(from), to: filled(to) };
      return keepRange(draft, draft.log.e820Edits, edit);
    },
  },
  {
    what: "e820 edit",
    start: "e820 remove range:",
    pattern: /^e820 remove range: ([0-9a-f]+) - ([0-9a-f]+)(?: \(([\w ]+)\))?$/,
    read: (draft, [, start, end, from], line) => {
      return keepRange(draft, draft.log.e820Edits, {
        ...exclusive(start, end),
        line,
        from: from ?? "",
        to: null,
      });
    },
  },
  ...["last_pfn =", "e820: last_pfn ="].map(
    (start): Rule => ({
      what: "end of RAM",
      start,
      pattern: /^(?:e820: )?last_pfn = 0x([0-9a-f]+) max_arch_pfn = 0x[0-9a-f]+$/,
      read: (draft, [, pfn]) => {
        draft.log.lastPfn ??= hex(pfn);
        return "read";
      },
    }),
  ),
];

const MIRROR_RULE: Rule = {
  what: "mirrored memory",
  start: "efi: Memory: ",
  pattern: /^efi: Memory: (\d+)M\/\d+M mirrored memory$/,
  read: (draft, [, mib]) => {
    draft.log.mirroredMib ??= decimal(mib);
    return "read";
  },
};

const EFI_VERSION_RULES: readonly Rule[] = ["efi: EFI v", "EFI v"].map((start) => ({
  what: "EFI version",
  start,
  loose: true,
  pattern: /^(?:efi: )?EFI v(\d+\.\d+ by .*\S)/,
  read: (draft, [, version]) => {
    draft.log.efi ??= filled(version);
    return "read";
  },
}));

const EFI_RULES: readonly Rule[] = ["efi: ", "EFI: "].map((start) => ({
  what: "EFI memory map",
  start,
  loose: true,
  pattern:
    /^(?:efi|EFI): (?:mem\d+: (?:\[([^|\]]+)(?:\|[^\]]*)?\]|type=(\d+), attr=0x[0-9a-f]+,) range=\[0x([0-9a-f]+)-0x([0-9a-f]+)([\])])| *0x([0-9a-f]+)-0x([0-9a-f]+) \[([^|\]]+)\|)/,
  read: (draft, [, name, number, start, end, bracket, first, last, armName]) => {
    if (armName !== undefined) {
      return keepRange(draft, draft.log.efiMap, {
        ...inclusive(first, last),
        type: armName.trim(),
      });
    }
    const range = bracket === ")" ? exclusive(start, end) : inclusive(start, end);
    return keepRange(draft, draft.log.efiMap, { ...range, type: name?.trim() ?? `type ${number}` });
  },
}));

const MEGABYTE = 1024 * 1024;

const DEVICETREE_RULES: readonly Rule[] = [
  ...["Machine model: ", "OF: fdt: Machine model: ", "DMI: "].map(
    (start): Rule => ({
      what: "machine",
      start,
      loose: true,
      pattern: /^(?:DMI|(?:OF: fdt: )?Machine model): (?!Memory slots)(.+)$/,
      read: (draft, [, name]) => {
        draft.log.machine ??= filled(name);
        return "read";
      },
    }),
  ),
  ...["Reserved memory: created", "OF: reserved mem: created"].map(
    (start): Rule => ({
      what: "reserved memory pool",
      start,
      pattern:
        /: created (CMA|DMA|restricted DMA) (?:memory )?pool at 0x([0-9a-f]+), size (\d+) MiB$/,
      read: (draft, [, kind, address, mib], line) => {
        const range = sized(hex(address), scaled(mib, MEGABYTE));
        return keepRange(draft, draft.log.reservedMemory, {
          ...range,
          line,
          kind: filled(kind),
          name: null,
          nomap: false,
          reusable: kind === "CMA",
        });
      },
    }),
  ),
  {
    what: "reserved memory",
    start: "OF: reserved mem: initialized node",
    pattern: /^OF: reserved mem: initialized node (\S+), compatible id .+$/,
    read: (draft, [, name]) => {
      // The pool's own line comes just before its name.
      const pool = draft.log.reservedMemory.at(-1);
      if (pool === undefined || pool.name !== null) return "read";
      draft.log.reservedMemory[draft.log.reservedMemory.length - 1] = {
        ...pool,
        name: filled(name),
      };
      return "read";
    },
  },
  {
    what: "reserved memory",
    start: "OF: reserved mem: 0x",
    pattern: /: 0x([0-9a-f]+)\.\.0x([0-9a-f]+) \(\d+ KiB\) (no)?map (non-)?reusable (\S+)$/,
    read: (draft, [, first, last, no, non, name], line) => {
      return keepRange(draft, draft.log.reservedMemory, {
        ...inclusive(first, last),
        line,
        kind: "region",
        name: filled(name),
        nomap: no !== undefined,
        reusable: non === undefined,
      });
    },
  },
];

export const FIRMWARE_RULES: readonly Rule[] = [
  ...E820_RULES,
  MIRROR_RULE,
  ...EFI_VERSION_RULES,
  ...EFI_RULES,
  ...DEVICETREE_RULES,
];
