/**
 * /sys/firmware/memmap: the firmware's memory map before any parameter.
 *
 * The kernel has a folder for each entry (0/start, 0/end, 0/type); as one file
 * it is a line an entry, ends inclusive, type words as in sysfs ("System RAM",
 * "Reserved", "ACPI Tables" …, not those of the boot log):
 *
 *   0x100000 0xbffdcfff System RAM
 *
 * Linux: start_show(), end_show(), type_show(), drivers/firmware/memmap.c
 */
import type { FirmwareRange } from "./boot-log.ts";
import type { Reader } from "./reader.ts";
import { afterLast, excerpt, type LineLog, tableReader } from "./table.ts";

const LINE = /^(0x[0-9a-f]+)\s+(0x[0-9a-f]+)\s+(\S.*)$/i;

/** Half-open ranges of bytes, in the order of the file. */
export function firmwareMemmapReader(): Reader<readonly FirmwareRange[]> {
  const ranges: FirmwareRange[] = [];
  return tableReader({
    name: "firmware_memmap",
    take(text: string, log: LineLog): boolean {
      if (text.trim() === "") return true;
      const [, first, last, type] = LINE.exec(text) ?? [];
      if (first === undefined || last === undefined || type === undefined) return false;
      const start = log.hex(first);
      const lastByte = log.hex(last);
      if (lastByte < start) {
        const what = excerpt(type.trimEnd());
        log.report("warning", `left out a range of ${what} that ends before it starts`);
        return true;
      }
      ranges.push({ start, end: afterLast(lastByte), type: type.trimEnd() });
      return true;
    },
    finish: (): readonly FirmwareRange[] => ranges,
  });
}

/**
 * One line of the form above for each folder of /sys/firmware/memmap, by the
 * folder's number; folders that lack a file are left to the reader to report.
 */
export function memmapLines(
  folders: ReadonlyMap<number, ReadonlyMap<string, string>>,
): readonly string[] {
  return [...folders]
    .sort(([a], [b]) => a - b)
    .map(([, files]) => ["start", "end", "type"].map((file) => files.get(file) ?? "?").join(" "));
}
