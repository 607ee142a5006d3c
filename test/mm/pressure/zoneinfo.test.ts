// Goal: /proc/zoneinfo tells what reclaim knows while it works, in the fields that the era had for it.
// Method: machines under pressure, their text read back with the reader of the kernel's own, and each
// number compared with what `Pages` has.
import { strict as expect } from "node:assert";
import { test } from "node:test";
import { readText } from "../../../src/formats/reader.ts";
import type { ZoneinfoZone } from "../../../src/formats/zoneinfo.ts";
import { zoneinfoReader } from "../../../src/formats/zoneinfo-reader.ts";
import { writeZoneinfo } from "../../../src/formats/zoneinfo-writer.ts";
import {
  allocPages,
  bootMemory,
  lockPage,
  MemoryStore,
  managePages,
  NO_HANDLE,
  newPage,
  type Pages,
  runKswapd,
  touchPage,
  usePressure,
  zoneFields,
  zoneinfoOf,
} from "../../../src/mm/index.ts";

const ZONES = [
  { name: "DMA", startPfn: 0, pages: 1024 },
  { name: "Normal", startPfn: 1024, pages: 3072 },
];

function machine(era: string, slots: number): Pages {
  const store = new MemoryStore(slots, 4096, false);
  const pages = managePages(bootMemory({ era, zones: ZONES }), { store });
  usePressure(pages);
  return pages;
}

/** As a tool would see it. */
function printed(pages: Pages): readonly ZoneinfoZone[] {
  const { value, issues } = readText(zoneinfoReader(), writeZoneinfo(zoneinfoOf(pages.m)));
  expect.deepEqual(issues, []);
  return value.zones;
}

function fill(pages: Pages): number[] {
  const handles: number[] = [];
  for (let i = 0; ; i++) {
    const handle = newPage(pages, pages.gfp, i % 3 === 0 ? "file" : "anon");
    if (handle === NO_HANDLE) return handles;
    handles.push(handle);
  }
}

test("S5 2.6: the book's fields of reclaim move, and zoneinfo prints them", () => {
  const pages = machine("2.6", 600);
  const seen = new Map<string, Set<number>>();
  const note = (name: string, value: number): unknown =>
    seen.set(name, (seen.get(name) ?? new Set()).add(value));
  for (let i = 0; i < 4900; i++) {
    newPage(pages, pages.gfp, i % 3 === 0 ? "file" : "anon");
    if (i % 32 === 0) runKswapd(pages);
    if (i < 3500 || i % 8 !== 0) continue;
    for (const [zone, row] of printed(pages).entries()) {
      const fields = zoneFields(pages.m, zone);
      const { nr_active, nr_inactive, pages_scanned, nr_scan_active, nr_scan_inactive } = fields;
      expect.deepEqual(Object.fromEntries(row.otherSizes ?? []), {
        active: nr_active,
        inactive: nr_inactive,
        scanned: pages_scanned,
      });
      expect.deepEqual(Object.fromEntries(row.scannedBy ?? []), {
        a: nr_scan_active,
        i: nr_scan_inactive,
      });
      expect.equal([...fields.active_list].length, nr_active);
      expect.equal([...fields.inactive_list].length, nr_inactive);
      for (const name of ["all_unreclaimable", "prev_priority", "temp_priority"] as const) {
        expect.equal(row.tail?.get(name), fields[name], name);
        note(name, fields[name]);
      }
      note("pages_scanned", pages_scanned);
      note("nr_scan_active", nr_scan_active);
      note("nr_scan_inactive", nr_scan_inactive);
    }
  }
  for (const name of ["pages_scanned", "nr_scan_active", "nr_scan_inactive", "prev_priority"]) {
    expect.ok((seen.get(name)?.size ?? 0) > 1, `${name} is always ${[...(seen.get(name) ?? [])]}`);
  }
  // The store is full and nothing can go any more: both zones are given up, at the last priority.
  expect.ok(seen.get("all_unreclaimable")?.has(1), "no zone was ever unreclaimable");
  expect.ok(seen.get("temp_priority")?.has(0), "no scan went down to priority 0");
});

for (const era of ["4.19", "5.10", "6.1", "6.12"]) {
  test(`${era}: zoneinfo counts the pages of each LRU list, and those that are mlocked`, () => {
    const pages = machine(era, 0);
    const handles = fill(pages);
    const locked = handles.filter((_, i) => i % 7 === 0);
    for (const handle of locked) lockPage(pages, handle);
    for (const handle of handles) touchPage(pages, handle, false);
    const sum = (name: string): number =>
      printed(pages).reduce((total, { counters }) => total + (counters.get(name) ?? -1), 0);
    expect.equal(sum("nr_mlock"), locked.length);
    expect.equal(sum("nr_zone_unevictable"), locked.length);
    const rest = handles.filter((_, i) => i % 7 !== 0);
    expect.equal(
      sum("nr_zone_inactive_file") + sum("nr_zone_active_file"),
      rest.filter((handle) => handles.indexOf(handle) % 3 === 0).length,
    );
    expect.equal(
      sum("nr_zone_inactive_anon") + sum("nr_zone_active_anon"),
      rest.filter((handle) => handles.indexOf(handle) % 3 !== 0).length,
    );
  });
}

test("6.1: a node that kswapd has given up is printed as unreclaimable", () => {
  const pages = machine("6.1", 0);
  fill(pages);
  const unreclaimable = (): unknown => printed(pages)[0]?.tail?.get("node_unreclaimable");
  expect.equal(unreclaimable(), 0);
  for (let run = 0; run < 16; run++) {
    allocPages(pages.m, pages.gfp & ~pages.m.gfp.direct, 0);
    runKswapd(pages);
  }
  expect.equal(unreclaimable(), 1);
});
