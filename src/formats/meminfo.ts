/**
 * /proc/meminfo, and nodeN/meminfo where each line starts with `Node N`.
 *
 *   MemTotal:        4010520 kB      KiB, whatever the unit is called
 *   HugePages_Total:       0         a count of huge pages
 *
 * Linux: meminfo_proc_show(), fs/proc/meminfo.c; node_read_meminfo(), drivers/base/node.c
 */
import type { Reader } from "./reader.ts";
import { type LineLog, tableReader } from "./table.ts";

/** Values by name, without colon: KiB, or pages where the kernel prints no unit. */
export type Meminfo = ReadonlyMap<string, number>;

const FIELD = /^(?:Node \d+ )?([A-Za-z][\w()]*):\s*(\d+)(?: kB)?\s*$/;

/** Issues: lines of another form, and fields that come twice. */
export function meminfoReader(): Reader<Meminfo> {
  const fields = new Map<string, number>();
  return tableReader({
    name: "meminfo",
    take(text: string, log: LineLog): boolean {
      if (text.trim() === "") return true;
      const [, name, digits] = FIELD.exec(text) ?? [];
      if (name === undefined || digits === undefined || fields.has(name)) return false;
      fields.set(name, log.decimal(digits));
      return true;
    },
    finish: (): Meminfo => fields,
  });
}
