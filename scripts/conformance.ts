// Scores the model against every capture and recording of the corpus, prints the table and writes docs/fidelity.md.
//
//   npm run conformance [-- --check] [PATTERN]
//
// --check writes nothing and fails when docs/fidelity.md is out of date.
import { readFileSync, writeFileSync } from "node:fs";
import { type DmaRow, dmaWords, scoreDma } from "../test/conformance/dma-score.ts";
import { fidelityPage } from "../test/conformance/fidelity.ts";
import { QUESTIONS, type Score, scoreCapture } from "../test/conformance/score.ts";
import { isExact, scoreTrace, type TraceScore } from "../test/conformance/trace-score.ts";
import { corpusNames, dmaNames, traceNames } from "../test/support/corpus.ts";

const PAGE = new URL("../docs/fidelity.md", import.meta.url);

const words = process.argv.slice(2).filter((word) => word !== "--check");
const pattern = new RegExp(words[0] ?? ".");
const names = corpusNames(pattern);
const recordings = traceNames(pattern);
const mapped = dmaNames(pattern);
const all = names.length + recordings.length + mapped.length;
const scores: Score[] = [];
const traces: TraceScore[] = [];
const dma: DmaRow[] = [];
for (const [i, name] of names.entries()) {
  progress(i + 1);
  scores.push(await scoreCapture(name));
}
for (const [i, name] of recordings.entries()) {
  progress(names.length + i + 1);
  traces.push(await scoreTrace(name));
}
for (const [i, name] of mapped.entries()) {
  progress(names.length + recordings.length + i + 1);
  dma.push(await scoreDma(name));
}
if (process.stderr.isTTY) process.stderr.write("\r");

function progress(done: number): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${all} `);
}

for (const question of QUESTIONS) {
  let equal = 0;
  let compared = 0;
  for (const score of scores) {
    equal += score.counts.get(question)?.equal ?? 0;
    compared += score.counts.get(question)?.compared ?? 0;
  }
  process.stdout.write(`${question.padEnd(26)} ${equal} of ${compared}\n`);
}
for (const trace of traces) {
  const { score } = trace.replay.repaired;
  const what = trace.replay.start === "exact lists" ? "lists" : "zones and free pages";
  const lists = isExact(trace) ? `all ${what}` : `not all ${what}`;
  const pages = `${score.pfnEqual} of ${score.allocations} pages, ${lists}`;
  process.stdout.write(`${trace.name.padEnd(26)} ${pages}\n`);
  if (trace.iova !== null) {
    const { allocations, predicted } = trace.iova;
    const addresses = `${allocations.equal} of ${allocations.recorded} IOVAs`;
    const own = `${predicted.equal} with frees predicted`;
    process.stdout.write(`${"".padEnd(26)} ${addresses}, ${own}\n`);
  }
}
for (const row of dma) process.stdout.write(`${row.name.padEnd(26)} ${dmaWords(row)}\n`);
if (words.length > 0) {
  for (const score of scores) {
    for (const miss of score.misses) {
      process.stdout.write(`${miss.capture}: ${miss.question}: ${miss.words}\n`);
    }
  }
} else {
  const page = fidelityPage(scores, traces, dma);
  if (!process.argv.includes("--check")) writeFileSync(PAGE, page);
  else if (readFileSync(PAGE, "utf8") !== page) {
    process.stderr.write("docs/fidelity.md is out of date: run npm run conformance\n");
    process.exitCode = 1;
  }
}
