/**
 * Rules for NUMA nodes: memory and CPU affinity from ACPI, nodes made up for
 * lack of it or on request, what each node spans, and where its NODE_DATA lies.
 *
 * Linux: acpi_table_print_srat_entry(), drivers/acpi/numa/srat.c; alloc_node_data(),
 * mm/numa.c (arch/x86/mm/numa.c before 6.12); setup_emu2phys_nid(), mm/numa_emulation.c
 */
import type { Range } from "../base/range.ts";
import { type Draft, keep } from "./boot-log-draft.ts";
import {
  decimal,
  exclusive,
  inclusive,
  keepRange,
  type Rule,
  type Verdict,
} from "./boot-log-rule.ts";

const SRAT_MEMORY =
  /^(?:ACPI: )?SRAT: Node (\d+) PXM \d+ (?:\[mem 0x([0-9a-f]+)-0x([0-9a-f]+)\]|([0-9a-f]+)-([0-9a-f]+))((?: hotplug)?)(?: non-volatile)?$/;
const SRAT_CPU =
  /^(?:ACPI: (?:NUMA: )?)?SRAT: PXM \d+ -> (?:X2)?(?:APIC|MPIDR)(?: ID)? (0x[0-9a-f]+|\d+) -> Node (\d+)$/;

const AFFINITY_RULES: readonly Rule[] = [
  ...["ACPI: SRAT: Node", "SRAT: Node"].map(
    (start): Rule => ({
      what: "SRAT memory range",
      start,
      pattern: SRAT_MEMORY,
      read: (draft, [, node, first, last, from, to, hotplug]) => {
        const range = first === undefined ? exclusive(from, to) : inclusive(first, last);
        return keepRange(draft, draft.log.sratRanges, {
          ...range,
          node: decimal(node),
          hotplug: hotplug !== "",
        });
      },
    }),
  ),
  ...["ACPI: SRAT: PXM", "ACPI: NUMA: SRAT: PXM", "SRAT: PXM"].map(
    (start): Rule => ({
      what: "SRAT CPU",
      start,
      pattern: SRAT_CPU,
      read: (draft, [, apic, node]) => {
        keep(draft, draft.log.sratCpus, { apic: decimal(apic), node: decimal(node) });
        return "read";
      },
    }),
  ),
  ...["Faking a node at", "NUMA: Faking a node at"].map(
    (start): Rule => ({
      what: "made-up node",
      start,
      pattern: /Faking a node at (?:\[mem 0x([0-9a-f]+)-0x([0-9a-f]+)\]|([0-9a-f]+)-([0-9a-f]+))$/,
      read: (draft, [, first, last, from, to]) => {
        const range = first === undefined ? exclusive(from, to) : inclusive(first, last);
        if (range.end < range.start) return "garbled";
        draft.log.singleNode ??= range;
        return "read";
      },
    }),
  ),
  {
    what: "made-up node",
    start: "Faking node",
    pattern:
      /^Faking node (\d+) at (?:\[mem 0x([0-9a-f]+)-0x([0-9a-f]+)\]|([0-9a-f]+)-([0-9a-f]+)) \(\d+MB\)$/,
    read: (draft, [, node, first, last, from, to]) => {
      const range = first === undefined ? exclusive(from, to) : inclusive(first, last);
      return keepRange(draft, draft.log.fakeNodes, { ...range, node: decimal(node) });
    },
  },
];

const NODE_DATA_RULES: readonly Rule[] = ["NODE_DATA", "NUMA: NODE_DATA", "numa:   NODE_DATA"].map(
  (start) => ({
    what: "NODE_DATA",
    start,
    pattern:
      /NODE_DATA(?:\((\d+)\))? (?:on node \d+|(?:allocated )?\[(?:mem 0x([0-9a-f]+)-0x([0-9a-f]+)|([0-9a-f]+) - ([0-9a-f]+))\](?: \(from [^)]*\))?)$/,
    read: (draft, [, number, first, last, oldFirst, oldLast]) => {
      if (first === undefined && oldFirst === undefined) return "read"; // where another node's lies
      // setup_node_data() is called for each node in ascending order.
      const node = number === undefined ? draft.log.nodeData.length : decimal(number);
      return keepRange(draft, draft.log.nodeData, {
        ...inclusive(first ?? oldFirst, last ?? oldLast),
        node,
      });
    },
  }),
);

function readNodeSpan(draft: Draft, node: string | undefined, range: Range): Verdict {
  const number = decimal(node);
  if (draft.log.nodeSpans.some((span) => span.node === number)) return "read"; // the first match wins
  return keepRange(draft, draft.log.nodeSpans, { ...range, node: number });
}

const SPAN_RULES: readonly Rule[] = [
  ...["Initmem setup node", "NUMA: Initmem setup node", "Bootmem setup node"].map(
    (start): Rule => ({
      what: "span of a node",
      start,
      pattern:
        /setup node (\d+) (?:(as memoryless|\[<memory-less node>\])|\[mem 0x([0-9a-f]+)-0x([0-9a-f]+)\]|([0-9a-f]+)-([0-9a-f]+))$/,
      read: (draft, [, node, none, first, last, from, to]) => {
        if (none !== undefined) return readNodeSpan(draft, node, { start: 0, end: 0 });
        if (first !== undefined) return readNodeSpan(draft, node, inclusive(first, last));
        return readNodeSpan(draft, node, exclusive(from, to));
      },
    }),
  ),
];

export const NODE_RULES: readonly Rule[] = [...AFFINITY_RULES, ...SPAN_RULES, ...NODE_DATA_RULES];
