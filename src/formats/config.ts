/**
 * A kernel's configuration, as in /boot/config-* or /proc/config.gz unpacked.
 *
 *   CONFIG_NUMA=y
 *   CONFIG_NR_CPUS=8192
 *   # CONFIG_CMA is not set
 *
 * Linux: conf_write_symbol(), scripts/kconfig/confdata.c
 */
import type { Reader } from "./reader.ts";
import { excerpt, type LineLog, tableReader } from "./table.ts";

/** Values by full name: "y", "m", a number or text without quotes; "n" for "is not set". */
export type KernelConfig = ReadonlyMap<string, string>;

const SET = /^(CONFIG_\w+)=(.*)$/;
const NOT_SET = /^# (CONFIG_\w+) is not set\s*$/;

/** Comments are read over; the last of two lines about one name counts, with a warning. */
export function configReader(): Reader<KernelConfig> {
  const config = new Map<string, string>();
  return tableReader({
    name: "config",
    take(text: string, log: LineLog): boolean {
      const [, unset] = NOT_SET.exec(text) ?? [];
      const [, name = unset, raw = "n"] = SET.exec(text) ?? [];
      if (name === undefined) return text.trim() === "" || text.startsWith("#");
      const value = raw.trim();
      const quoted = value.length >= 2 && value.startsWith('"') && value.endsWith('"');
      if (config.has(name))
        log.report("warning", `${excerpt(name)} comes again; the last line counts`);
      config.set(name, quoted ? value.slice(1, -1) : value);
      return true;
    },
    finish: (): KernelConfig => config,
  });
}
