// Runs the scenarios of examples/scenarios and prints them; those named, or all. With --write makes
// docs/scenarios.md of them.
//
//   node scripts/scenarios.ts [NAME…] [--write]
import { writeFileSync } from "node:fs";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { SCENARIOS } from "../examples/scenarios/index.ts";
import { draw, type Outcome, type Scenario, wrapped } from "../examples/scenarios/scenario.ts";

const PAGE = new URL("../docs/scenarios.md", import.meta.url);

/** The page, from what each scenario came to. */
export function scenarioPage(
  outcomes: readonly { readonly scenario: Scenario; readonly outcome: Outcome }[],
): string {
  const parts = outcomes.flatMap(({ scenario, outcome }) => [
    `## ${scenario.title}`,
    "",
    ...wrapped(scenario.question, 100),
    "",
    "```",
    draw(outcome),
    "```",
    "",
    `\`node scripts/scenarios.ts ${scenario.name}\`, ` +
      `[${scenario.name}.ts](../examples/scenarios/${scenario.name}.ts)`,
    "",
  ]);
  return [
    "# Scenarios",
    "",
    "What does this device get, where, and at what cost? Machines side by side, every figure measured on",
    "the engine with real bytes where bytes move. Made by `node scripts/scenarios.ts --write`; a test runs",
    "them all and compares this page.",
    "",
    ...parts,
  ].join("\n");
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const names = process.argv.slice(2).filter((word) => !word.startsWith("-"));
  const wanted = SCENARIOS.filter(({ name }) => names.length === 0 || names.includes(name));
  if (wanted.length === 0) {
    console.error(`scenarios are ${SCENARIOS.map(({ name }) => name).join(", ")}`);
    process.exitCode = 2;
  }
  const outcomes = wanted.map((scenario) => ({ scenario, outcome: scenario.run() }));
  for (const { scenario, outcome } of outcomes) {
    console.log(`${scenario.title}\n\n${scenario.question}\n\n${draw(outcome)}\n`);
  }
  if (process.argv.includes("--write")) writeFileSync(PAGE, scenarioPage(outcomes));
}
