/** JSON Schemas (draft 2020-12) of all documents, by the command that prints them. */
import * as z from "zod";
import { auditSchema } from "./audit-document.ts";
import { checkSchema } from "./check-document.ts";
import { diffSchema } from "./diff-document.ts";
import { explainSchema } from "./explain-document.ts";
import { inspectSchema } from "./inspect-document.ts";
import { planSchema } from "./plan-document.ts";
import { replaySchema } from "./replay-document.ts";
import { sizeSchema } from "./size-document.ts";

export type JsonSchema = Readonly<Record<string, unknown>>;

export function jsonSchemas(): ReadonlyMap<string, JsonSchema> {
  const all: readonly (readonly [string, z.ZodType])[] = [
    ["plan", planSchema],
    ["check", checkSchema],
    ["inspect", inspectSchema],
    ["diff", diffSchema],
    ["replay", replaySchema],
    ["size", sizeSchema],
    ["explain", explainSchema],
    ["audit", auditSchema],
  ];
  return new Map(
    all.map(([name, schema]) => {
      // Readers of version 1 must accept fields that a later release adds.
      const open = {
        override: ({ jsonSchema }: { jsonSchema: { additionalProperties?: unknown } }) => {
          if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
        },
      };
      const title = `zonewright ${name} --json`;
      return [name, { $id: `zonewright/${name}/1`, title, ...z.toJSONSchema(schema, open) }];
    }),
  );
}
