/** The program: `main` on this process's streams. A reader that goes away (EPIPE) is no trouble. */
import { readFileSync } from "node:fs";
import process from "node:process";
import { isAuditWorker } from "../host/index.ts";
import { EXIT_OUTPUT } from "./failure.ts";
import { main } from "./program.ts";
import type { Terminal } from "./terminal.ts";

for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(process.exitCode ?? 0);
    if (stream === process.stdout) {
      const words = `cannot write to standard output: ${error.code ?? error.message}`;
      process.stderr.write(`zonewright: ${words}; check the disk\n`);
    }
    process.exit(EXIT_OUTPUT);
  });
}

const terminal: Terminal = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  columns: process.stdout.isTTY ? process.stdout.columns : null,
  errColumns: process.stderr.isTTY ? process.stderr.columns : null,
  env: process.env,
  stdin: () => process.stdin,
};

/** Beside dist/ and src/ alike. */
function version(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return /"version":\s*"([^"]+)"/.exec(text)?.[1] ?? "unknown";
}

// A worker of the audit runs this file too, and has its work from there.
if (!isAuditWorker()) process.exitCode = await main(process.argv.slice(2), terminal, version());
