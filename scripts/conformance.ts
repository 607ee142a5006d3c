// Scores the model against every capture of the corpus, prints the table and writes docs/fidelity.md.
//
//   npm run conformance [-- --check] [PATTERN]
//
// --check writes nothing and fails when docs/fidelity.md is out of date.
import { readFileSync, writeFileSync } from "node:fs";
import { fidelityPage } from "../test/conformance/fidelity.ts";
import { QUESTIONS, type Score, scoreCapture } from "../test/conformance/score.ts";
import { corpusNames } from "../test/support/corpus.ts";

const PAGE = new URL("../docs/fidelity.md", import.meta.url);

const words = process.argv.slice(2).filter((word) => word !== "--check");
const names = corpusNames(new RegExp(words[0] ?? "."));
const scores: Score[] = [];
for (const [i, name] of names.entries()) {
  if (process.stderr.isTTY) process.stderr.write(`\r${i + 1} of ${names.length} `);
  scores.push(await scoreCapture(name));
}
if (process.stderr.isTTY) process.stderr.write("\r");

for (const question of QUESTIONS) {
  let equal = 0;
  let compared = 0;
  for (const score of scores) {
    equal += score.counts.get(question)?.equal ?? 0;
    compared += score.counts.get(question)?.compared ?? 0;
  }
  process.stdout.write(`${question.padEnd(26)} ${equal} of ${compared}\n`);
}
if (words.length > 0) {
  for (const score of scores) {
    for (const miss of score.misses) {
      process.stdout.write(`${miss.capture}: ${miss.question}: ${miss.words}\n`);
    }
  }
} else {
  const page = fidelityPage(scores);
  if (!process.argv.includes("--check")) writeFileSync(PAGE, page);
  else if (readFileSync(PAGE, "utf8") !== page) {
    process.stderr.write("docs/fidelity.md is out of date: run npm run conformance\n");
    process.exitCode = 1;
  }
}
