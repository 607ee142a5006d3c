/** `zonewright schema [NAME]`: the JSON Schemas of the documents. */
import type { Command } from "commander";
import { jsonSchemas } from "../../documents/index.ts";
import type { Context } from "../context.ts";
import { EXIT_FINE, usage } from "../failure.ts";

export function addSchema(program: Command, context: Context): void {
  program
    .command("schema")
    .description("print the JSON Schema of a command's --json, or of all")
    .argument("[name]", "plan, check, inspect, diff, replay, size or explain")
    .action((name: string | undefined) => {
      const schemas = jsonSchemas();
      const schema = name === undefined ? Object.fromEntries(schemas) : schemas.get(name);
      if (schema === undefined) {
        const known = [...schemas.keys()].join(", ");
        throw usage(
          "schema",
          `there is no schema "${String(name).slice(0, 40)}"`,
          `known are ${known}`,
        );
      }
      context.print(schema);
      context.exitCode = EXIT_FINE;
    });
}
