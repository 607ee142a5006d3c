/**
 * Option values as users type them. Whatever cannot be read exactly is wrong
 * usage, with the option's name, what was typed and what would be right.
 */
import { readFileSync, statSync } from "node:fs";
import { parseSize } from "../base/units.ts";
import type { DeviceSpec } from "../dma/device.ts";
import { configReader, readText } from "../formats/index.ts";
import { nearest, parseCount } from "../io/quantity.ts";
import { parseDevice } from "../io/yaml-device.ts";
import { EFFECTS, KNOWN_SYSCTLS, type SysctlShare, type SysctlWrite } from "../plan/index.ts";
import { usage } from "./failure.ts";

/** Linux: NR_CPUS of the largest x86-64 configuration, MAXSMP, arch/x86/Kconfig */
const MAX_CPUS = 8192;

/** `N0/DMA=3840,N0/DMA32=754602`: pages by zone; on one node `DMA=3840` will do. */
export function parseManaged(text: string): Map<string, number> {
  const managed = new Map<string, number>();
  for (const piece of text.split(",")) {
    const parts = /^\s*((?:N\d{1,4}\/)?[A-Za-z][A-Za-z0-9_]*)\s*=\s*(\S+)\s*$/.exec(piece);
    const pages = parts === null ? null : parseCount(parts[2] ?? "", Number.MAX_SAFE_INTEGER);
    if (parts === null || pages === null) {
      throw usage(
        "--managed",
        `"${cut(piece)}" is not ZONE=PAGES`,
        "e.g. N0/DMA=3840,N0/DMA32=754602",
      );
    }
    const zone = parts[1] ?? "";
    if (managed.has(zone)) throw usage("--managed", `${zone} is there twice`, "give it once");
    managed.set(zone, pages);
  }
  return managed;
}

/**
 * `min_free_kbytes=16384`, several joined by commas; vectors by blanks, tabs or underscores.
 * `min_free_kbytes=5%` is a share of MemTotal, of LowTotal where there is high memory.
 */
export function parseSysctls(texts: readonly string[]): (SysctlWrite | SysctlShare)[] {
  return texts.flatMap((text) => text.split(",")).map(parseSysctl);
}

function parseSysctl(text: string): SysctlWrite | SysctlShare {
  const at = text.indexOf("=");
  if (at === -1)
    throw usage("--sysctl", `"${cut(text)}" is not NAME=VALUE`, "e.g. min_free_kbytes=16384");
  const name = text
    .slice(0, at)
    .trim()
    .replace(/^vm[./]/, "");
  if (!KNOWN_SYSCTLS.includes(name)) {
    const near = nearest(name, KNOWN_SYSCTLS);
    const known = `known are ${KNOWN_SYSCTLS.join(", ")}`;
    const mend = near === null ? known : `did you mean ${near}? ${known}`;
    throw usage("--sysctl", `"${cut(name)}" is not a sysctl that changes zones`, mend);
  }
  const share = /^\s*(\d{1,3}(?:\.\d{1,3})?)%\s*$/.exec(text.slice(at + 1))?.[1];
  if (share !== undefined && name === "min_free_kbytes") {
    const percent = Number(share);
    if (percent <= 100) return { name, percent };
    throw usage("--sysctl", `${name}: ${share}% is more than all memory`, "give up to 100%");
  }
  const words = text
    .slice(at + 1)
    .trim()
    .split(/[\s_]+/);
  const values = words.map((word) => parseCount(word, Number.MAX_SAFE_INTEGER));
  const numbers = values.filter((value) => value !== null);
  if (numbers.length !== words.length) {
    throw usage("--sysctl", `${name}: "${cut(text.slice(at + 1))}" is not a number of 0 or more`);
  }
  if (name !== "lowmem_reserve_ratio" && numbers.length !== 1) {
    throw usage("--sysctl", `${name} takes one number, ${numbers.length} are given`);
  }
  return { name, values: numbers };
}

/** A kernel parameter as on the command line: `cma=128M`, `nosmp`. */
export function parseParameter(text: string): string {
  if (/^[A-Za-z][\w.-]*(=\S+)?$/.test(text)) return text;
  throw usage("--set", `"${cut(text)}" is not a kernel parameter`, "e.g. cma=128M");
}

const CONFIG_OPTION = /^(?:CONFIG_)?([A-Z0-9][A-Z0-9_]*)=(\S+)$/;

/** Options of a configuration, one by one or from files; the last one of a name counts. */
export function parseConfig(given: readonly string[]): Map<string, string> {
  const config = new Map<string, string>();
  for (const text of given) {
    const [, name, value = ""] = CONFIG_OPTION.exec(text) ?? [];
    if (name !== undefined) config.set(`CONFIG_${name}`, value.replace(/^"(.*)"$/, "$1"));
    else for (const [key, own] of configFile(text)) config.set(key, own);
  }
  return config;
}

/** Linux: a .config is a few hundred KiB. */
const CONFIG_FILE_MAX = 8 * 2 ** 20;

function configFile(path: string): ReadonlyMap<string, string> {
  const mend = "e.g. --config CMA=n, or a file such as /boot/config-6.1.0";
  let text = "";
  try {
    if (statSync(path).size <= CONFIG_FILE_MAX) text = readFileSync(path, "utf8");
  } catch {
    throw usage(
      "--config",
      `"${cut(path)}" is neither NAME=value nor a file that can be read`,
      mend,
    );
  }
  const { value, issues } = readText(configReader(), text);
  if (value.size === 0 || issues.some((issue) => issue.severity === "error"))
    throw usage("--config", `"${cut(path)}" is no kernel configuration`, mend);
  return value;
}

export function parseRam(text: string): number {
  const bytes = parseSize(text);
  if (bytes === null) throw usage("--ram", `"${cut(text)}" is not a size`, "e.g. 512M or 8G");
  if (bytes === 0) throw usage("--ram", "a machine needs memory", "e.g. --ram 8G");
  return bytes;
}

export function parseMaskPool(text: string): number {
  const bytes = parseSize(text);
  if (bytes !== null && bytes > 0) return bytes;
  throw usage("--mask-pool", `"${cut(text)}" is not a size`, "e.g. 16M");
}

export function parseCpus(text: string): number {
  const cpus = parseCount(text, MAX_CPUS);
  if (cpus !== null && cpus > 0) return cpus;
  throw usage("--cpus", `"${cut(text)}" is not a number from 1 to ${MAX_CPUS}`);
}

export function parseKernel(text: string): string {
  if (/^v?\d{1,3}\.\d{1,3}/.test(text)) return text;
  throw usage("--kernel", `"${cut(text)}" is not a version`, "e.g. 6.1 or 6.1.0-50-amd64");
}

export function parseDeviceOption(text: string): DeviceSpec {
  const device = parseDevice(text);
  if (device !== null) return device;
  const mend = "NAME:BITS or NAME:BITS:COHERENTBITS with 1 to 64 bits, e.g. nic:32";
  throw usage("--device", `"${cut(text)}" is not a device`, mend);
}

export function parseEffects(text: string): string[] {
  return text.split(",").map((word) => {
    const effect = EFFECTS.find((candidate) => candidate === word.trim());
    if (effect !== undefined) return effect;
    throw usage("--fail-on", `"${cut(word)}" is not an effect`, `known are ${EFFECTS.join(", ")}`);
  });
}

function cut(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
