// Runs the command line in this process, on streams of its own.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { main } from "../../src/cli/program.ts";

export interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly stdin?: Uint8Array | string;
  readonly columns?: number;
  readonly env?: Record<string, string>;
}

export async function run(args: readonly string[], options: RunOptions = {}): Promise<Run> {
  let out = "";
  let err = "";
  const input = options.stdin ?? "";
  const code = await main(
    args,
    {
      out: (text) => {
        out += text;
      },
      err: (text) => {
        err += text;
      },
      columns: options.columns ?? null,
      env: options.env ?? {},
      async *stdin() {
        for await (const chunk of [input]) yield chunk;
      },
    },
    "1.2.3",
  );
  return { code, out, err };
}

/** The path of a packed capture of the corpus. */
export function packed(name: string): string {
  return fileURLToPath(new URL(`../../corpus/layouts/${name}.tar.gz`, import.meta.url));
}

export function machine(name: string): string {
  return fileURLToPath(new URL(`../../examples/machines/${name}.yaml`, import.meta.url));
}

/** A folder of its own, removed after the test that asked for it. */
export function scratch(test: { after(clean: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), "zonewright-"));
  test.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
