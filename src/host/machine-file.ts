/**
 * What the user points at: a capture or a description. Told apart by what it
 * is (a folder, an archive, a devicetree blob), and only texts by their suffix.
 * `-` is standard input: an archive or a description.
 */
import { stat } from "node:fs/promises";
import { basename, extname } from "node:path";
import type { Issue, Outcome } from "../base/issue.ts";
import type { CaptureFiles } from "../formats/capture.ts";
import { type DescribedMachine, readMachineYaml } from "../io/yaml-machine.ts";
import { inputErrorOf, packingOf, readAll, readHead, readWhole, unpackWhole } from "./bytes.ts";
import {
  captureFromTar,
  looksLikeTar,
  type OpenOptions,
  openCaptureFiles,
} from "./capture-files.ts";

export type MachineFile =
  | { readonly kind: "capture"; readonly files: CaptureFiles }
  | { readonly kind: "description"; readonly description: DescribedMachine };

export type InputStream = () => AsyncIterable<Uint8Array | string>;

const DESCRIPTION_SUFFIXES: readonly string[] = [".yaml", ".yml", ".json"];
/** Bytes; what is larger is not even read. Its characters are counted later. */
const MAX_DESCRIPTION = 4 * 2 ** 20;
/** First word of a flattened devicetree, big endian: Devicetree Specification, 5.2. */
const FDT_MAGIC: readonly number[] = [0xd0, 0x0d, 0xfe, 0xed];

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
    if (isDevicetree(head) || extname(name) === ".dtb") return noDevicetree(path);
    if (DESCRIPTION_SUFFIXES.includes(extname(name).toLowerCase())) {
      if (found.size > MAX_DESCRIPTION) {
        const message = `${Math.ceil(found.size / 2 ** 20)} MiB are too many for a description`;
        return failed(path, message, "descriptions end at 1 MiB: is it the right file?");
      }
      return describe(path, new TextDecoder().decode(await readWhole(path)));
    }
    if (packingOf(head) !== "none" || looksLikeTar(head)) {
      return asCapture(await openCaptureFiles(path, options));
    }
    if (head.length === 0) return failed(path, "the file is empty", "copy it again");
    const mend = "give a capture (folder, .tar, .tar.gz, .tar.zst) or a description (.yaml, .json)";
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
  if (isDevicetree(bytes)) return noDevicetree("-");
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

function isDevicetree(head: Uint8Array): boolean {
  return FDT_MAGIC.every((byte, i) => head[i] === byte);
}

function noDevicetree(path: string): Outcome<null> {
  const mend = "describe the machine in YAML (arch, ram, base, dmaLimit)";
  return failed(path, "devicetree input is not there yet", mend);
}

function failed(source: string, message: string, mend: string | undefined): Outcome<null> {
  const issue: Issue = { severity: "error", source, message };
  return { value: null, issues: [mend === undefined ? issue : { ...issue, mend }] };
}
