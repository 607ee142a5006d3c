// No capture, however damaged, ends in a bug of ours: files of real captures are cut, shuffled,
// blown up and mixed with those of other machines, and plan, check and inspect must answer with a
// result or with a refusal in words. Exit code 70 is what must never come.
import assert from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { corpusFiles } from "../support/corpus.ts";
import { run, scratch } from "./run.ts";

const MACHINES = [
  "x86_64-6.1-numa2-2G+2G",
  "i386pae-6.1-2G",
  "arm64-6.1-1G-cma64M",
  "x86_64-6.12-256M",
];
const FILES = [
  "dmesg",
  "zoneinfo",
  "version",
  "cmdline",
  "cpuinfo",
  "config",
  "firmware_memmap",
  "iomem",
  "vm/min_free_kbytes",
  "vm/lowmem_reserve_ratio",
  "node/online",
];

type Damage = (text: string, at: number) => string;

const DAMAGES: Readonly<Record<string, Damage>> = {
  cut: (text, at) => text.slice(0, at % (text.length + 1)),
  headless: (text, at) => text.slice(at % (text.length + 1)),
  swap: (text, at) => {
    const lines = text.split("\n");
    const i = at % lines.length;
    const j = (at * 7) % lines.length;
    const line = lines[i] ?? "";
    lines[i] = lines[j] ?? "";
    lines[j] = line;
    return lines.join("\n");
  },
  huge: (text, at) => {
    let seen = 0;
    const numbers = text.match(/\d+/g)?.length ?? 1;
    return text.replace(/\d+/g, (n) => (seen++ === at % numbers ? "99999999999999999999" : n));
  },
  zeros: (text) => text.replace(/[0-9a-f]{4,}/g, (digits) => "0".repeat(digits.length)),
  digits: (text, at) =>
    text.replace(/\d/g, (digit, place: number) => ((place + at) % 41 === 0 ? "9" : digit)),
  crlf: (text) => text.replaceAll("\n", "\r\n"),
  gone: () => "",
};

test("damaged captures are answered or refused, never crashed on", async (t) => {
  const base = scratch(t);
  const captures = MACHINES.map(corpusFiles);
  const damage = fc.record({
    file: fc.constantFrom(...FILES),
    kind: fc.constantFrom(...Object.keys(DAMAGES)),
    at: fc.nat(),
    from: fc.nat(MACHINES.length - 1),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.nat(MACHINES.length - 1),
      fc.array(damage, { minLength: 1, maxLength: 3 }),
      fc.constantFrom("plan", "check", "inspect"),
      fc.boolean(),
      async (own, damages, command, json) => {
        const folder = join(base, "capture");
        rmSync(folder, { recursive: true, force: true });
        const files = new Map(FILES.map((file) => [file, captures[own]?.get(file) ?? ""]));
        for (const { file, kind, at, from } of damages) {
          const text = captures[at % 3 === 0 ? from : own]?.get(file) ?? "";
          files.set(file, DAMAGES[kind]?.(text, at) ?? "");
        }
        for (const [file, text] of files) {
          mkdirSync(dirname(join(folder, file)), { recursive: true });
          writeFileSync(join(folder, file), text);
        }
        const { code, out, err } = await run(
          json ? [command, folder, "--json"] : [command, folder],
        );
        assert.ok([0, 1, 3].includes(code), `${code}: ${err}`);
        assert.equal(out === "", code === 3);
        if (json && code !== 3) JSON.parse(out);
        assert.doesNotMatch(out, /NaN|undefined|\[object/);
      },
    ),
    { numRuns: 120 },
  );
});
