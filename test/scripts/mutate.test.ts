// Goal: seeded faults say how much tests notice. Method: a small project with one file that its
// tests pin down and one that they only call; the first must score full marks, the second must not,
// the survivors must be real, nothing may change in the project, and a seed must repeat itself.
import { deepEqual, equal, match, notEqual, ok } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { draw, linesOf } from "../../scripts/mutate/draw.ts";
import { mutated, mutationsIn, OPERATORS } from "../../scripts/mutate/operators.ts";
import { isEquivalentByRule } from "../../scripts/mutate/rules.ts";

const SCRIPT = fileURLToPath(new URL("../../scripts/mutate.ts", import.meta.url));

const STRONG = `/** Clamps; 1 < 2 in a comment is left alone. */
import { LIMIT } from "./limit.ts";

export function clamp(value: number, low: number): number {
  if (value < low) return low;
  return Math.min(value, LIMIT);
}

export function sum(upTo: number): number {
  let total = 0;
  for (let i = 0; i < upTo; i++) total += i + 1;
  return total;
}
`;

const WEAK = `export function area(width: number, height: number): number {
  if (width === 0) return 0;
  return width * height;
}
`;

const STRONG_TEST = `import { deepEqual } from "node:assert/strict";
import { test } from "node:test";
import { clamp, sum } from "../../src/strong/clamp.ts";

test("clamp", () => {
  const values = [0, 4, 5, 6, 9, 10, 11, 50].map((value) => clamp(value, 5));
  deepEqual(values, [5, 5, 5, 6, 9, 10, 10, 10]);
});
test("sum", () => deepEqual([0, 1, 2, 5].map(sum), [0, 1, 3, 15]));
`;

const WEAK_TEST = `import { equal } from "node:assert/strict";
import { test } from "node:test";
import { area } from "../../src/weak/area.ts";

test("area of a unit square", () => equal(area(1, 1), 1));
`;

let root = "";

before(() => {
  root = mkdtempSync(join(tmpdir(), "zonewright-mutate-test-"));
  for (const folder of ["src/strong", "src/weak", "test/strong", "test/weak", "scripts/mutate"]) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  write("package.json", '{ "type": "module" }');
  write("src/strong/clamp.ts", STRONG);
  write("src/strong/limit.ts", "export const LIMIT = 10;\n");
  write("src/weak/area.ts", WEAK);
  write("test/strong/clamp.test.ts", STRONG_TEST);
  write("test/weak/area.test.ts", WEAK_TEST);
});
after(() => rmSync(root, { recursive: true, force: true }));

function write(path: string, text: string): void {
  writeFileSync(join(root, path), text);
}

function mutate(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const all = [SCRIPT, "--root", root, "--patience", "1", ...args];
  return spawnSync(process.execPath, all, { encoding: "utf8" });
}

describe("the script", () => {
  test("finds strong tests strong, hangs included", () => {
    // A value that equals the bound comes out the same from either side of the comparison.
    const row = {
      file: "src/strong/clamp.ts",
      from: "if (value < low) return low;",
      to: "if (value <= low) return low;",
      reason: "value equals low there",
    };
    write("scripts/mutate/equivalent.json", JSON.stringify([row]));
    const { status, stdout, stderr } = mutate("--under", "src/strong", "--tests", "test/strong/**");
    equal(stdout.trim().split("\n").length, 1, stdout + stderr);
    match(
      stdout,
      /^(\d+) of \1 caught \(100 %: types 0, tests \1, other tests 0\), seed 1, under src\/strong\n$/,
    );
    equal(status, 0);
  });

  test("finds weak tests weak, and says where", () => {
    const args = ["--under", "src/weak", "--tests", "test/weak/**", "--count", "100"];
    const { status, stdout } = mutate(...args);
    equal(status, 1);
    match(
      stdout,
      /src\/weak\/area\.ts:3 arithmetic\n- return width \* height;\n\+ return width \/ height;/,
    );
    // Never taken by the test, so without effect whatever it says.
    match(stdout, /src\/weak\/area\.ts:2 early return\n- if \(width === 0\) return 0;\n\+ ;/);
    const [, caught, all] = /^(\d+) of (\d+) caught/m.exec(stdout) ?? [];
    ok(Number(caught) >= 1 && Number(caught) < Number(all), stdout);
  });

  test("changes nothing but its own copy", () => {
    equal(readFileSync(join(root, "src/weak/area.ts"), "utf8"), WEAK);
    equal(readFileSync(join(root, "src/strong/clamp.ts"), "utf8"), STRONG);
  });

  test("refuses tests that fail by themselves, no tests, no sources, and odd numbers", () => {
    write("test/weak/broken.test.ts", 'throw new Error("always");\n');
    const weak = ["--under", "src/weak"];
    equal(mutate(...weak, "--tests", "test/weak/**").status, 2);
    rmSync(join(root, "test/weak/broken.test.ts"));
    equal(mutate(...weak, "--tests", "test/none/**").status, 2);
    const nothing = mutate("--under", "src/none", "--tests", "test/weak/**");
    equal(nothing.status, 2);
    match(nothing.stderr, /nothing to change/);
    equal(mutate(...weak, "--seed", "x").status, 2);
  });
});

describe("faults", () => {
  test("keep to code: no comments, imports, types, messages or assertions", () => {
    const source = `import { a } from "./1 < 2.ts";
/** 1 + 1 */
const x: Array<1 | 2> = [];
interface Y { readonly z: 3 }
assert(x.length === 0, "empty", 7);
report({
  message: \`\${x.length + 1} left\`,
  mend: n > 1 ? "a" : "b",
});
throw new Error(String(1 + 2));
`;
    const found = mutationsIn("x.ts", source).map((one) => linesOf(source, one).to);
    deepEqual(found, []);
  });

  test("are of every kind", () => {
    const source = `export function f(list: number[], first: number, last: number): number {
  let count = 0x10;
  if (list.length > 3) return first;
  for (const n of list) {
    if (n < first && !seen(n)) count += n | 1;
    touch(first);
  }
  return count === 0 ? Math.max(count, last) : flag(true);
}
`;
    const found = mutationsIn("x.ts", source);
    deepEqual(new Set(found.map(({ operator }) => operator)), new Set(OPERATORS));
    for (const mutation of found) {
      notEqual(mutated(source, mutation), source);
      const { from, to } = linesOf(source, mutation);
      notEqual(from, to);
      // One line and no other.
      const rest = (text: string): string[] => text.split("\n").toSpliced(mutation.line - 1, 1);
      deepEqual(rest(mutated(source, mutation)), rest(source));
    }
    const lines = found.map((mutation) => linesOf(source, mutation).to);
    ok(lines.includes("let count = 0x11;"));
    ok(lines.includes("let count = 0xf;"));
    ok(lines.includes("touch(last);"));
    ok(lines.includes("if (n < first && seen(n)) count += n | 1;"));
    ok(lines.includes("if (!(list.length > 3)) return first;"));
    ok(lines.includes("return count === 0 ? Math.min(count, last) : flag(true);"));
    ok(lines.includes("return count === 0 ? Math.max(count, last) : flag(false);"));
  });

  test("that no test can see are known by rule where they stand, and nowhere else", () => {
    const source = `function f(row: number, other: number) {
  if (row < 0) return 1;
  return other < 0 ? 2 : 3;
}
`;
    const known = (file: string): string[] =>
      mutationsIn(file, source)
        .filter((mutation) => isEquivalentByRule(source, mutation))
        .map((mutation) => linesOf(source, mutation).to);
    deepEqual(known("src/mm/x.ts").toSorted(), [
      "if (row < 1) return 1;",
      "if (row <= 0) return 1;",
    ]);
    deepEqual(known("src/dma/x.ts"), []);
  });

  test("are drawn alike by the same seed, and equivalents move no other draw", () => {
    const all = mutationsIn("clamp.ts", STRONG);
    const first = draw(all, 7, 12, () => false);
    deepEqual(
      draw(all, 7, 12, () => false),
      first,
    );
    notEqual(JSON.stringify(draw(all, 8, 12, () => false)), JSON.stringify(first));
    equal(new Set(first).size, 12);
    const [skipped] = first;
    const without = draw(all, 7, 12, (mutation) => mutation === skipped);
    deepEqual(without.slice(0, 11), first.slice(1));
    equal(draw(all, 7, 1000, () => false).length, all.length);
  });
});
