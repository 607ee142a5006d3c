// What the tests of explain/ share: a log in, findings out.
import { Explainer, type Finding } from "../../src/explain/index.ts";
import { readFailures } from "../../src/formats/index.ts";

export function explain(lines: readonly string[] | string, grouped = false): Finding[] {
  const explainer = new Explainer({ grouped });
  readFailures(typeof lines === "string" ? lines : lines.join("\n"), explainer);
  return explainer.findings();
}

export function explainOne(lines: readonly string[] | string): Finding {
  const [finding, ...others] = explain(lines);
  if (finding === undefined || others.length > 0) {
    throw new Error(`${others.length + (finding === undefined ? 0 : 1)} findings`);
  }
  return finding;
}
