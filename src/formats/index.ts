/** The formats of /proc, /sys and the boot log: readers, writers and their records. */
export * from "./boot-log.ts";
export * from "./buddyinfo.ts";
export * from "./reader.ts";
export * from "./zoneinfo.ts";
export * from "./zoneinfo-reader.ts";
export * from "./zoneinfo-writer.ts";
