// A capture of the corpus laid out again as the /proc and /sys that it was copied from.
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { corpusFiles } from "./corpus.ts";

/** Where each file of a capture comes from. */
const PLACES: readonly (readonly [RegExp, string])[] = [
  [/^(zoneinfo|buddyinfo|pagetypeinfo|vmstat|meminfo|iomem|cmdline|version|cpuinfo)$/, "proc/$1"],
  [/^vm\/(\w+)$/, "proc/sys/vm/$1"],
  [/^node\/(.+)$/, "sys/devices/system/node/$1"],
  [/^hugepages\/(.+)$/, "sys/kernel/mm/hugepages/$1"],
  [/^thp_enabled$/, "sys/kernel/mm/transparent_hugepage/enabled"],
  [/^debug\/(.+)$/, "sys/kernel/debug/$1"],
  [/^memory_block_size$/, "sys/devices/system/memory/block_size_bytes"],
  [/^dmesg$/, "var/log/dmesg"],
];

/** Writes the machine below `root`; `devices` as the lines of a capture's file of that name. */
export function layOutMachine(root: string, name: string, devices: readonly string[] = []): void {
  const files = corpusFiles(name);
  const put = (path: string, contents: string | Uint8Array): void => {
    const place = join(root, path);
    mkdirSync(dirname(place), { recursive: true });
    writeFileSync(place, contents);
  };
  for (const [path, text] of files) {
    for (const [pattern, place] of PLACES) {
      if (pattern.test(path)) put(path.replace(pattern, place), text);
    }
  }
  const release = /^Linux version (\S+)/.exec(files.get("version") ?? "")?.[1] ?? "";
  put("proc/sys/kernel/osrelease", `${release}\n`);
  put(`boot/config-${release}`, files.get("config") ?? "");
  for (const [i, line] of (files.get("firmware_memmap") ?? "").trim().split("\n").entries()) {
    const [start, end, ...type] = line.split(" ");
    if (end === undefined) continue;
    for (const [file, value] of [
      ["start", start],
      ["end", end],
      ["type", type.join(" ")],
    ]) {
      put(`sys/firmware/memmap/${i}/${file}`, `${value}\n`);
    }
  }
  const fdt = (files.get("fdt") ?? "").replace(/\s+/g, "");
  if (fdt !== "") put("sys/firmware/fdt", Buffer.from(fdt, "hex"));
  for (const line of devices) putDevice(root, put, line);
}

function putDevice(root: string, put: (path: string, text: string) => void, line: string): void {
  const [device, ...words] = line.split(" ");
  const folder = `sys/bus/pci/devices/${device}`;
  for (const [name = "", value = ""] of words.map((word) => word.split("="))) {
    if (name === "driver") {
      mkdirSync(join(root, folder), { recursive: true });
      symlinkSync(`../../drivers/${value}`, join(root, folder, "driver"));
    } else if (name === "iommu") {
      put("sys/kernel/iommu_groups/0/type", `${value}\n`);
      symlinkSync("../../../kernel/iommu_groups/0", join(root, folder, "iommu_group"));
    } else put(`${folder}/${name}`, `${value}\n`);
  }
}
