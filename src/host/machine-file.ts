/**
 * What the user points at: a capture, a devicetree or a description. Told apart
 * by what it is (a folder, an archive, a collected file, a devicetree blob), and
 * only other texts by their suffix. `-` is standard input: any of them but a folder.
 */
import { stat } from "node:fs/promises";
import { basename, extname } from "node:path";
import type { Issue, Outcome } from "../base/issue.ts";
import type { CaptureFiles } from "../formats/capture.ts";
import { type Devicetree, isFdt, readFdt } from "../formats/fdt.ts";
import { looksCollected } from "../io/collected.ts";
import { type DescribedMachine, readMachineYaml } from "../io/yaml-machine.ts";
import { inputErrorOf, packingOf, readAll, readHead, readWhole, unpackWhole } from "./bytes.ts";
import {
  captureFromTar,
  captureFromText,
  looksLikeTar,
  type OpenOptions,
  openCaptureFiles,
} from "./capture-files.ts";
import { compileDts } from "./dts-file.ts";

export type MachineFile =
  | { readonly kind: "capture"; readonly files: CaptureFiles }
  | { readonly kind: "description"; readonly description: DescribedMachine }
  | { readonly kind: "devicetree"; readonly tree: Devicetree; readonly name: string };

export type InputStream = () => AsyncIterable<Uint8Array | string>;

const DESCRIPTION_SUFFIXES: readonly string[] = [".yaml", ".yml", ".json"];
/** Bytes; what is larger is not even read. Its characters are counted later. */
const MAX_DESCRIPTION = 4 * 2 ** 20;
/** Linux: MAX_FDT_SIZE is 2 MiB, arch/arm64/include/asm/boot.h; overlays may make one larger. */
const MAX_DEVICETREE = 16 * 2 ** 20;

/** Value null, with an error, when it is neither. */
export async function openMachine(
  path: string,
  stdin: InputStream,
  options: OpenOptions = {},
): Promise<Outcome<MachineFile | null>> {
  try {
    if (path === "-") return await fromStream(stdin, options);
    const found = await stat(path);
    if (found.isDirectory()) return asCapture(await openCaptureFiles(path, options));
    // Opening a pipe or a terminal could wait for ever.
    if (!found.isFile()) {
      return failed(path, "it is neither a folder nor a file", `pipe it: - < ${path}`);
    }
    const head = await readHead(path, 512);
    const name = path.replace(/\.(gz|zst)$/, "");
    if (isFdt(head) || extname(name) === ".dtb") {
      if (found.size > MAX_DEVICETREE) return tooLarge(path, found.size);
      return devicetree(path, await readWhole(path));
    }
    if (extname(name) === ".dts") return devicetree(path, await compileDts(path));
    if (DESCRIPTION_SUFFIXES.includes(extname(name).toLowerCase())) {
      if (found.size > MAX_DESCRIPTION) {
        const message = `${Math.ceil(found.size / 2 ** 20)} MiB are too many for a description`;
        return failed(path, message, "descriptions end at 1 MiB: is it the right file?");
      }
      return describe(path, new TextDecoder().decode(await readWhole(path)));
    }
    if (packingOf(head) !== "none" || looksLikeTar(head) || looksCollected(head)) {
      return asCapture(await openCaptureFiles(path, options));
    }
    if (head.length === 0) return failed(path, "the file is empty", "copy it again");
    const mend =
      "give a capture (folder, .tar, .tar.gz, .tar.zst), a .dtb or a description (.yaml)";
    return failed(path, "it is not a machine", mend);
  } catch (error) {
    const wrong = inputErrorOf(error);
    return failed(path, wrong.message, wrong.mend);
  }
}

async function fromStream(
  stdin: InputStream,
  options: OpenOptions,
): Promise<Outcome<MachineFile | null>> {
  const bytes = await unpackWhole(await readAll(stdin()));
  if (bytes.length === 0)
    return failed("-", "nothing came on standard input", "pipe YAML or a tar");
  if (isFdt(bytes)) return devicetree("-", bytes);
  if (looksCollected(bytes)) return asCapture(captureFromText("stdin", bytes, options));
  if (looksLikeTar(bytes)) return asCapture(captureFromTar("stdin", bytes, options));
  return describe("-", new TextDecoder().decode(bytes));
}

function describe(path: string, text: string): Outcome<MachineFile | null> {
  if (text.includes("\0")) {
    return failed(path, "it holds binary data, not YAML", "give a text file");
  }
  const name = path === "-" ? "stdin" : basename(path).replace(/\.(ya?ml|json)$/i, "");
  const { value, issues } = readMachineYaml(text, name);
  const placed = issues.map((issue) => ({ ...issue, source: path }));
  return {
    value: value === null ? null : { kind: "description", description: value },
    issues: placed,
  };
}

function asCapture(outcome: Outcome<CaptureFiles | null>): Outcome<MachineFile | null> {
  const files = outcome.value;
  return { value: files === null ? null : { kind: "capture", files }, issues: outcome.issues };
}

function devicetree(path: string, blob: Uint8Array): Outcome<MachineFile | null> {
  const { value, issues } = readFdt(blob);
  const placed = issues.map((issue) => ({ ...issue, source: path }));
  const name = path === "-" ? "stdin" : basename(path).replace(/\.(dtb|dts)$/, "");
  return {
    value: value === null ? null : { kind: "devicetree", tree: value, name },
    issues: placed,
  };
}

function tooLarge(path: string, bytes: number): Outcome<null> {
  const message = `${Math.ceil(bytes / 2 ** 20)} MiB are too many for a devicetree`;
  return failed(path, message, "give the .dtb of one board");
}

function failed(source: string, message: string, mend: string | undefined): Outcome<null> {
  const issue: Issue = { severity: "error", source, message };
  return { value: null, issues: [mend === undefined ? issue : { ...issue, mend }] };
}
