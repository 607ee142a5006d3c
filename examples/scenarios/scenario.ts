// What a scenario is: machines side by side, each as a row of figures, and a sentence that says what
// they come to. `scripts/scenarios.ts` prints them all and writes docs/scenarios.md.

/** One machine, or one way to run it: cells by column; numbers are drawn to the right. */
export type Row = readonly (string | number)[];

export interface Outcome {
  readonly head: readonly string[];
  readonly rows: readonly Row[];
  /** What the figures say, made of them. */
  readonly verdict: string;
}

export interface Scenario {
  readonly name: string;
  readonly title: string;
  /** What is asked, and of which machine: a few sentences. */
  readonly question: string;
  readonly run: () => Outcome;
}

/** A table of words and numbers, and the verdict below it. */
export function draw({ head, rows, verdict }: Outcome): string {
  const cells = rows.map((row) =>
    row.map((cell) => (typeof cell === "number" ? grouped(cell) : cell)),
  );
  const widths = head.map((title, i) =>
    Math.max(title.length, ...cells.map((row) => row[i]?.length ?? 0)),
  );
  const isNumber = head.map((_, i) => rows.every((row) => typeof row[i] === "number"));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => (isNumber[i] ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join("  ")
      .trimEnd();
  const rule = widths.map((width) => "─".repeat(width)).join("  ");
  return [line(head), rule, ...cells.map(line), "", ...wrapped(verdict, 98)].join("\n");
}

/** 1 044 480 */
function grouped(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+(?!\d))/g, " ");
}

export function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** xorshift32: the same numbers on every machine. */
export function dice(seed: number): (below: number) => number {
  let state = seed | 0;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return Math.floor(((state >>> 0) / 2 ** 32) * below);
  };
}
