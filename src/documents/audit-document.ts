/** The document of `zonewright audit --json`: every use with its verdict, and what was not parsed. */
import * as z from "zod";
import { type Cost, identities, isFinding, type Place, type Use } from "../audit/index.ts";

export interface AuditUse extends Omit<Use, "removal" | "device"> {
  readonly id: string;
  readonly finding: boolean;
  readonly isNew: boolean | null;
  readonly hasPatch: boolean;
}

export interface AuditUnparsed {
  readonly file: string;
  /** Null: the file could not be read. */
  readonly line: number | null;
  readonly text: string;
}

export interface AuditDocument {
  readonly schema: "zonewright/audit/1";
  readonly given: readonly string[];
  readonly root: string | null;
  readonly files: number;
  readonly parsed: number;
  readonly uses: readonly AuditUse[];
  readonly unparsed: readonly AuditUnparsed[];
  readonly cost: readonly Cost[];
}

const count = z.number().int().min(0);
const line = z.number().int().min(1);

const place: z.ZodType<Place> = z.object({
  file: z.string(),
  line,
  what: z.string().describe("a call, or a node of the data flow: v:FN:x, f:x, m:X, a:FN:n"),
});

const use: z.ZodType<AuditUse> = z.object({
  id: z.string().describe("the same from run to run, also when lines move"),
  file: z.string(),
  line,
  column: line,
  flag: z.string().describe("the word that makes it a use"),
  textual: z.boolean().describe("false: the line has the flag through a variable, macro or call"),
  function: z.string().nullable(),
  allocator: z.string().nullable().describe("who takes the flag"),
  category: z.string(),
  verdict: z.enum([
    "legitimate",
    "legitimate purpose, wrong interface",
    "replaceable",
    "replaceable (misuse)",
    "replaceable (no-op)",
    "optimisation",
    "bug",
    "dead",
    "review",
    "n/a",
  ]),
  group: z
    .enum([
      "limited-hardware",
      "redundant",
      "misuse",
      "block-layer",
      "optimisation",
      "bug",
      "dead",
      "machinery",
      "unknown",
      "no-use",
    ])
    .describe("the verdict as an answer to: who still needs the zone?"),
  why: z.string(),
  fix: z.string(),
  confidence: z.enum(["high", "medium", "low"]),
  rule: z.string(),
  finding: z.boolean().describe("somebody should do something about it"),
  isNew: z.boolean().nullable().describe("not in the baseline; null without one"),
  hasPatch: z.boolean(),
  bits: z.array(count).describe("of a mask: the widths it can have"),
  via: z.array(place),
  reaches: z.array(place),
  config: z.string().nullable().describe("what builds the file; null where no Makefile says"),
  architectures: z.array(z.string()).nullable(),
  isBuilt: z.boolean().nullable().describe("with --config"),
  size: z.object({ text: z.string(), bytes: count.nullable() }).nullable(),
  text: z.string(),
});

const cost: z.ZodType<Cost> = z.object({
  architecture: z.string().nullable().describe("null: all of them, or the given .config"),
  rows: z.array(
    z.object({
      bits: count.describe("address bits that the memory must be below"),
      zone: z.enum(["DMA", "DMA32"]),
      places: count,
      files: count,
      bytes: count.describe("of places with a constant size, one request of each"),
      unknown: count.describe("places whose size is computed at run time"),
    }),
  ),
  leastBytes: count.describe("ZONE_DMA for those: known bytes, and a page for each unknown"),
  maskPool: z.string().describe("the same for plan --mask-pool"),
});

export const auditSchema: z.ZodType<AuditDocument> = z.object({
  schema: z.literal("zonewright/audit/1"),
  given: z.array(z.string()),
  root: z.string().nullable().describe("the kernel tree; files are named from there"),
  files: count,
  parsed: count,
  uses: z.array(use),
  unparsed: z.array(z.object({ file: z.string(), line: line.nullable(), text: z.string() })),
  cost: z.array(cost),
});

/** What was audited, and against what. */
export interface AuditOrigin {
  readonly given: readonly string[];
  readonly root: string | null;
  readonly files: number;
  readonly parsed: number;
  readonly unparsed: readonly AuditUnparsed[];
  /** Ids that a baseline holds; null without one. */
  readonly known: ReadonlySet<string> | null;
  readonly costs: readonly Cost[];
}

export function auditDocument(uses: readonly Use[], origin: AuditOrigin): AuditDocument {
  const ids = identities(uses);
  const { given, root, files, parsed, unparsed, known, costs } = origin;
  return {
    schema: "zonewright/audit/1",
    given,
    root,
    files,
    parsed,
    uses: uses.map((one, i) => {
      const { removal, device: _, ...rest } = one;
      const id = ids[i] ?? "";
      return {
        id,
        ...rest,
        finding: isFinding(one),
        isNew: known === null ? null : !known.has(id),
        hasPatch: removal !== null,
      };
    }),
    unparsed,
    cost: costs,
  };
}
