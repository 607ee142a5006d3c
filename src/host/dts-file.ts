/** Devicetree sources, through the compiler that is installed: `dtc`, and `cpp` before it where a source includes others. */
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { InputError } from "./bytes.ts";

const TIME_LIMIT_MS = 20_000;
const MAX_BYTES: number = 64 * 2 ** 20;
const INSTALL = "install it (Debian: device-tree-compiler) or give the compiled .dtb";

/** The blob of a source file. Throws an `InputError` with the compiler's first line where there is none. */
export async function compileDts(path: string): Promise<Uint8Array> {
  const source = await readFile(path);
  const folder = dirname(path);
  const needsCpp = /^[ \t]*#[ \t]*include\b/m.test(source.toString("latin1"));
  const plain = needsCpp
    ? await run("cpp", ["-nostdinc", "-I", folder, "-undef", "-D__DTS__", "-x", CPP_KIND], source)
    : source;
  return run("dtc", ["-q", "-I", "dts", "-O", "dtb", "-i", folder, "-"], plain);
}

const CPP_KIND = "assembler-with-cpp";

/** Standard output of `command`, fed with `input`. */
function run(command: string, args: readonly string[], input: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ["pipe", "pipe", "pipe"],
      timeout: TIME_LIMIT_MS,
    });
    const chunks: Uint8Array[] = [];
    let total = 0;
    let said = "";
    child.stdout.on("data", (chunk: Uint8Array) => {
      total += chunk.length;
      if (total > MAX_BYTES) child.kill();
      else chunks.push(chunk);
    });
    child.stderr.on("data", (chunk: Uint8Array) => {
      if (said.length < 4096) said += new TextDecoder().decode(chunk);
    });
    child.on("error", (error) => {
      const absent = "code" in error && error.code === "ENOENT";
      const message = absent ? `${command} is not installed` : error.message;
      reject(new InputError(`a devicetree source needs ${command}: ${message}`, INSTALL));
    });
    // A compiler that stops early closes its input; what it says is in `said`.
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
    child.on("close", (code) => {
      if (code === 0 && total <= MAX_BYTES) resolve(Buffer.concat(chunks));
      else reject(new InputError(`${command} does not take it: ${firstLine(said)}`, INSTALL_NONE));
    });
  });
}

const INSTALL_NONE = "correct the source, or give the compiled .dtb";

function firstLine(text: string): string {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return lines.find((line) => /error/i.test(line)) ?? lines[0] ?? "it says nothing";
}
