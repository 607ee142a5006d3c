/** The uses as a log of the Static Analysis Results Interchange Format 2.1.0 (OASIS). */
import { isFinding, levelOf } from "./finding.ts";
import { identities } from "./identity.ts";
import { isRequest, type Use } from "./use.ts";

export interface SarifOrigin {
  readonly version: string;
  /** Ids of uses that a baseline knows; null without one. */
  readonly known: ReadonlySet<string> | null;
  readonly unparsed: readonly {
    readonly file: string;
    readonly line: number;
    readonly text: string;
  }[];
}

export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json };

const SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json";
const ID_KEY = "zonewright/v1";

/** Comments and the machinery are no results. */
export function sarifOf(uses: readonly Use[], origin: SarifOrigin): Json {
  const ids = identities(uses);
  const categories = [...new Set(uses.filter(isRequest).map(({ category }) => category))].sort();
  const results = uses.flatMap((use, i) =>
    isRequest(use) ? [resultOf(use, ids[i] ?? "", categories, origin.known)] : [],
  );
  return {
    $schema: SCHEMA,
    version: "2.1.0",
    runs: [
      {
        tool: {
          driver: {
            name: "zonewright",
            semanticVersion: origin.version,
            informationUri: "https://www.npmjs.com/package/zonewright",
            rules: categories.map((category) => ruleOf(category, uses)),
          },
        },
        columnKind: "utf16CodeUnits",
        originalUriBaseIds: { ROOT: { description: { text: "the root of the sources" } } },
        invocations: [
          {
            executionSuccessful: true,
            toolExecutionNotifications: origin.unparsed.map(notificationOf),
          },
        ],
        results,
      },
    ],
  };
}

function ruleOf(category: string, uses: readonly Use[]): Json {
  const one = uses.find((use) => use.category === category);
  return {
    id: category,
    shortDescription: { text: category.replaceAll("-", " ") },
    help: { text: one?.fix === "" ? "nothing to do" : (one?.fix ?? "") },
    defaultConfiguration: { level: one === undefined ? "note" : levelOf(one) },
  };
}

function resultOf(
  use: Use,
  id: string,
  categories: readonly string[],
  known: ReadonlySet<string> | null,
): Json {
  const message = `${use.flag}${use.allocator === null ? "" : ` (${use.allocator})`}: ${use.verdict}. ${use.why}.${use.fix === "" ? "" : ` ${use.fix}.`}`;
  return {
    ruleId: use.category,
    ruleIndex: categories.indexOf(use.category),
    kind: isFinding(use) ? "fail" : "informational",
    level: isFinding(use) ? levelOf(use) : "none",
    message: { text: message },
    locations: [{ physicalLocation: locationOf(use.file, use.line, use.column) }],
    ...(use.reaches.length === 0
      ? {}
      : {
          relatedLocations: use.reaches.map(({ file, line, what }, index) => ({
            id: index,
            physicalLocation: locationOf(file, line, null),
            message: { text: what },
          })),
        }),
    partialFingerprints: { [ID_KEY]: id },
    ...(known === null ? {} : { baselineState: known.has(id) ? "unchanged" : "new" }),
    properties: { verdict: use.verdict, confidence: use.confidence, group: use.group },
  };
}

function locationOf(file: string, line: number, column: number | null): Json {
  const startColumn = column === null ? {} : { startColumn: column };
  return {
    artifactLocation: { uri: uriOf(file), ...(file.startsWith("/") ? {} : { uriBaseId: "ROOT" }) },
    region: { startLine: line, ...startColumn },
  };
}

function notificationOf({ file, line, text }: SarifOrigin["unparsed"][number]): Json {
  return {
    level: "note",
    message: { text: `not parsed: ${text}` },
    locations: [{ physicalLocation: locationOf(file, line, null) }],
  };
}

function uriOf(file: string): string {
  const path = file.split("/").map(encodeURIComponent).join("/");
  return file.startsWith("/") ? `file://${path}` : path;
}
