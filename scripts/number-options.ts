/** Options of a script that are all numbers: what was given, or a line that says what is wrong with it. */
import { parseArgs } from "node:util";

export function numberOptions<Name extends string>(
  defaults: Readonly<Record<Name, string>>,
): Record<Name, number> | string {
  const names = Object.keys(defaults) as Name[];
  const options = Object.fromEntries(names.map((name) => [name, { type: "string" as const }]));
  let values: Record<string, string | boolean | undefined>;
  try {
    ({ values } = parseArgs({ options }));
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const entries = names.map((name) => [name, Number(values[name] ?? defaults[name])] as const);
  const wrong = entries.find(([, number]) => !(Number.isSafeInteger(number) && number > 0));
  if (wrong !== undefined) {
    return `--${wrong[0]} is a whole number above 0, ${values[wrong[0]]} is not`;
  }
  return Object.fromEntries(entries) as Record<Name, number>;
}
