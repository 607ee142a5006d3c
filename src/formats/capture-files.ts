/**
 * Which file of a capture is read by which reader, and where its record goes.
 *
 * A path is first shortened to the capture's own names (`proc/zoneinfo` and
 * `zoneinfo` are one file), then matched with the rules in order; each rule
 * streams one file into one field of the draft.
 */
import { AssertionError } from "../base/assert.ts";
import { type Issue, issuesIn } from "../base/issue.ts";
import { bootLogReader } from "./boot-log-reader.ts";
import { buddyinfoReader } from "./buddyinfo.ts";
import type { CaptureFiles } from "./capture.ts";
import { CaptureDraft } from "./capture-draft.ts";
import { configReader } from "./config.ts";
import { cpuinfoReader } from "./cpuinfo.ts";
import { devicesReader } from "./devices.ts";
import { fdtTextReader } from "./fdt-text.ts";
import { firmwareMemmapReader, memmapLines } from "./firmware-memmap.ts";
import { iomemReader } from "./iomem.ts";
import { meminfoReader } from "./meminfo.ts";
import { pagetypeinfoReader } from "./pagetypeinfo.ts";
import { type Reader, readStream, readText } from "./reader.ts";
import { choiceReader, idListReader, lineReader, numbersReader, sysctlReader } from "./values.ts";
import { vmstatReader } from "./vmstat.ts";
import { zoneinfoReader } from "./zoneinfo-reader.ts";

type Read = <T>(reader: Reader<T>) => Promise<T>;
type Rule = readonly [
  RegExp,
  (draft: CaptureDraft, read: Read, name: string, file: string) => Promise<void>,
];

/** The first two groups of the expression go to the rule as `name` and `file`. */
const RULES: readonly Rule[] = [
  [
    /^zoneinfo$/,
    async (to, read) => {
      const zoneinfo = await read(zoneinfoReader());
      to.zoneinfo = zoneinfo.zones.length > 0 ? zoneinfo : null;
    },
  ],
  [
    /^buddyinfo$/,
    async (to, read) => {
      const buddyinfo = await read(buddyinfoReader());
      to.buddyinfo = buddyinfo.zones.length > 0 ? buddyinfo : null;
    },
  ],
  [
    /^pagetypeinfo$/,
    async (to, read) => {
      const info = await read(pagetypeinfoReader());
      to.pagetypeinfo = info.free.length + info.blocks.length > 0 ? info : null;
    },
  ],
  [
    /^vmstat$/,
    async (to, read) => {
      to.vmstat = filled(await read(vmstatReader()));
    },
  ],
  [
    /^meminfo$/,
    async (to, read) => {
      to.meminfo = filled(await read(meminfoReader()));
    },
  ],
  [
    /^iomem$/,
    async (to, read) => {
      const iomem = await read(iomemReader());
      to.iomem = iomem.entries.length > 0 ? iomem : null;
    },
  ],
  [
    /^firmware_memmap$/,
    async (to, read) => {
      const ranges = await read(firmwareMemmapReader());
      to.firmwareMemmap = ranges.length > 0 ? ranges : null;
    },
  ],
  [
    /^firmware_memmap\/(\d{1,9})\/(start|end|type)$/,
    async (to, read, name, file) => {
      const value = await read(lineReader(file));
      const folder = to.memmapFolders.get(Number(name)) ?? new Map<string, string>();
      if (value !== null) to.memmapFolders.set(Number(name), folder.set(file, value));
    },
  ],
  [
    /^cpuinfo$/,
    async (to, read) => {
      const cpuinfo = await read(cpuinfoReader());
      to.cpuinfo = cpuinfo.processors > 0 ? cpuinfo : null;
    },
  ],
  [
    /^config$/,
    async (to, read) => {
      to.config = filled(await read(configReader()));
    },
  ],
  [
    /^fdt$/,
    async (to, read) => {
      to.devicetree = await read(fdtTextReader());
    },
  ],
  [
    /^devices$/,
    async (to, read) => {
      to.devices = await read(devicesReader());
    },
  ],
  [
    /^dmesg$/,
    async (to, read) => {
      const log = await read(bootLogReader());
      to.bootLog = log.lines > 0 ? log : null;
    },
  ],
  [
    /^version$/,
    async (to, read) => {
      to.version = await read(lineReader("version"));
    },
  ],
  [
    // The release alone, as a line of /proc/version begins; that file says more.
    /^osrelease$/,
    async (to, read) => {
      const release = await read(lineReader("osrelease"));
      if (release !== null) to.version ??= `Linux version ${release}`;
    },
  ],
  [
    /^cmdline$/,
    async (to, read) => {
      to.commandLine = await read(lineReader("cmdline"));
    },
  ],
  [
    /^set$/,
    async (to, read) => {
      to.set = await read(lineReader("set"));
    },
  ],
  [
    /^thp_enabled$/,
    async (to, read) => {
      to.thpEnabled = await read(choiceReader("transparent_hugepage/enabled"));
    },
  ],
  [
    /^vm\/([\w-]+)$/,
    async (to, read, name) => {
      const value = await read(sysctlReader(name));
      if (typeof value === "string") to.sysctlWords.set(name, value);
      else if (value !== null) to.sysctls.set(name, value);
    },
  ],
  [
    /^debug\/swiotlb\/(io_tlb_(?:nslabs|used|used_hiwater))$/,
    async (to, read, name) => {
      const [value] = (await read(numbersReader(name))) ?? [];
      if (value !== undefined) to.swiotlb.set(name, value);
    },
  ],
  [
    /^hugepages\/hugepages-(\d{1,12})kB\/(\w+)$/,
    async (to, read, size, file) => {
      const [value] = (await read(numbersReader(file))) ?? [];
      const bytes = Number(size) * 1024;
      const attributes = to.hugepages.get(bytes) ?? new Map<string, number>();
      if (value !== undefined) to.hugepages.set(bytes, attributes.set(file, value));
    },
  ],
  [
    /^node\/(online|possible|has_memory|has_normal_memory|has_cpu)$/,
    async (to, read, name) => {
      const ids = await read(idListReader(name));
      if (ids !== null) to.nodes.lists.set(name, ids);
    },
  ],
  [
    /^node\/node(\d{1,4})\/cpulist$/,
    async (to, read, node) => {
      const cpus = await read(idListReader("cpulist"));
      if (cpus !== null) to.nodes.cpus.set(Number(node), cpus);
    },
  ],
  [
    /^node\/node(\d{1,4})\/distance$/,
    async (to, read, node) => {
      const distances = await read(numbersReader("distance"));
      if (distances !== null) to.nodes.distances.set(Number(node), distances);
    },
  ],
  [
    /^node\/node(\d{1,4})\/meminfo$/,
    async (to, read, node) => {
      to.nodes.meminfo.set(Number(node), await read(meminfoReader()));
    },
  ],
];

/** Longer names of the same files, as in the file system of the machine. */
const NAMES: readonly (readonly [RegExp, string])[] = [
  [/^(?:\.?\/)+/, ""],
  [/^(?:proc\/)?sys\/vm\//, "vm/"],
  [/^(?:proc\/)?sys\/kernel\/osrelease$/, "osrelease"],
  [/^proc\/(\w*info|vmstat|iomem|cmdline|version)$/, "$1"],
  [/^sys\/devices\/system\/node\//, "node/"],
  [/^sys\/firmware\/memmap\//, "firmware_memmap/"],
  [/^sys\/firmware\/fdt$/, "fdt"],
  [/^sys\/kernel\/debug\//, "debug/"],
  [/^sys\/kernel\/mm\//, ""],
  [/^transparent_hugepage\/enabled$/, "thp_enabled"],
];

/** Reads the files below `folder` that are `wanted`, each once, in the order of `paths`. */
export async function readFiles(
  files: CaptureFiles,
  folder: string,
  wanted: (path: string) => boolean,
): Promise<{ draft: CaptureDraft; issues: Issue[] }> {
  const draft = new CaptureDraft();
  const issues: Issue[] = [];
  const seen = new Set<string>();
  for (const path of files.paths) {
    if (!path.startsWith(folder) || !wanted(path)) continue;
    const name = NAMES.reduce((at, [from, to]) => at.replace(from, to), path.slice(folder.length));
    const found = ruleFor(name);
    if (found === null) continue;
    if (seen.has(name)) {
      const message = `left out: ${name} was read from another path`;
      issues.push({ severity: "warning", message, source: path });
      continue;
    }
    seen.add(name);
    const read: Read = async (reader) => {
      const outcome = await readStream(reader, contentsOf(files, path, issues));
      issues.push(...issuesIn(path, outcome.issues));
      return outcome.value;
    };
    const [rule, groups] = found;
    await rule[1](draft, read, groups[1] ?? "", groups[2] ?? "");
  }
  if (draft.memmapFolders.size > 0 && draft.firmwareMemmap === null) {
    const text = `${memmapLines(draft.memmapFolders).join("\n")}\n`;
    const outcome = readText(firmwareMemmapReader(), text);
    draft.firmwareMemmap = outcome.value;
    issues.push(...issuesIn("firmware_memmap", outcome.issues));
  }
  return { draft, issues };
}

function ruleFor(name: string): readonly [Rule, RegExpExecArray] | null {
  for (const rule of RULES) {
    const groups = rule[0].exec(name);
    if (groups !== null) return [rule, groups];
  }
  return null;
}

/** The chunks of a file; one that fails ends there, with an issue. */
async function* contentsOf(
  files: CaptureFiles,
  path: string,
  issues: Issue[],
): AsyncIterable<string> {
  try {
    yield* files.open(path);
  } catch (error) {
    if (error instanceof AssertionError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    issues.push({ severity: "error", message: `cannot be read: ${reason}`, source: path });
  }
}

function filled<K, V>(map: ReadonlyMap<K, V>): ReadonlyMap<K, V> | null {
  return map.size > 0 ? map : null;
}
