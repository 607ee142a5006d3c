// Goal: marks, min_free_kbytes, reserves and pagesets are the kernel's to the page.
// Method: worked numbers of real machines; every sysctl variant of the corpus, whose zoneinfo
// gives managed pages and whose vm/ folder gives the settings; and properties on random zones.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { resolveEra } from "../../src/kernels/eras.ts";
import { pagesetSize, zoneBatch } from "../../src/mm/pageset.ts";
import { defaultReserveRatios, lowmemReserve } from "../../src/mm/protection.ts";
import {
  defaultMinFreeKbytes,
  khugepagedMinFreeKbytes,
  type MarkRow,
  zoneMarks,
} from "../../src/mm/watermark.ts";
import { corpusFiles, corpusNames } from "../support/corpus.ts";
import { zonesOf } from "../support/zones.ts";

const PAGE = 4096;

test("a desktop of 24 GiB has the marks its kernel prints", () => {
  const rows = [3840, 772917, 5013504].map((managed) => ({ managed, special: false }));
  const marks = zoneMarks(rows, {
    minFreeKbytes: 67584,
    watermarkScaleFactor: 10,
    pageSize: PAGE,
  });
  assert.deepEqual(
    marks.map((m) => [m.min, m.low, m.high, m.promo]),
    [
      [11, 14, 17, 20],
      [2255, 3027, 3799, 4571],
      [14629, 19642, 24655, 29668],
    ],
  );
  const reserve = lowmemReserve([3840, 772917, 5013504, 0, 0], [256, 256, 32, 0, 0]);
  assert.deepEqual(reserve[0], [0, 3019, 22603, 22603, 22603]);
  assert.deepEqual(reserve[1], [0, 0, 19584, 19584, 19584]);
  assert.deepEqual(reserve[2], [0, 0, 0, 0, 0]);
});

test("min_free_kbytes by default follows the square root, clamped at both ends", () => {
  const table: [number, number][] = [
    [16, 512],
    [64, 1024],
    [512, 2896],
    [1024, 4096],
    [8192, 11585],
  ];
  for (const [mib, kbytes] of table) {
    assert.equal(defaultMinFreeKbytes(mib * 256, PAGE, 262144), kbytes, `${mib} MiB`);
  }
  assert.equal(defaultMinFreeKbytes(1, PAGE, 262144), 128);
  assert.equal(defaultMinFreeKbytes(2 ** 40, PAGE, 65536), 65536);
});

test("khugepaged wants 22528 KiB a populated zone, at most a twentieth of free low memory", () => {
  for (const zones of [1, 2, 3, 5]) {
    assert.equal(khugepagedMinFreeKbytes(zones, 512, 1e9, PAGE), 22528 * zones);
  }
  assert.equal(khugepagedMinFreeKbytes(2, 512, 224_000, PAGE), 11200 * 4);
});

test("S5 marks, protection and pagesets equal the kernel's after every sysctl write", () => {
  let fields = 0;
  for (const name of corpusNames()) {
    const files = corpusFiles(name);
    const release = /Linux version (\S+)/.exec(files.get("version") ?? "")?.[1] ?? "";
    const i386 = release.includes("686");
    const era = resolveEra(release, i386 ? "i386" : "x86_64");
    assert.ok(era !== null, name);
    for (const path of files.keys()) {
      const variant = /^sysctl\/([^/]+)\/zoneinfo$/.exec(path)?.[1];
      if (variant === undefined) continue;
      const zones = zonesOf(files.get(path) ?? "");
      const value = (key: string): number[] =>
        (files.get(`sysctl/${variant}/vm/${key}`) ?? "0").trim().split(/\s+/).map(Number);
      const highmem = zones.some((zone) => zone.name === "HighMem" && zone.present > 0);
      const slot = zones.some((zone) => zone.name === "HighMem");
      const movable = { "5.10": slot, "6.1": highmem, "6.12": true }[era.policy.name] ?? false;
      const marks = zoneMarks(
        zones.map((zone): MarkRow => {
          const special = zone.name === "HighMem" || (zone.name === "Movable" && movable);
          return { managed: zone.managed, special };
        }),
        {
          minFreeKbytes: value("min_free_kbytes")[0] ?? 0,
          watermarkScaleFactor: value("watermark_scale_factor")[0] ?? 0,
          pageSize: PAGE,
        },
      );
      zones.forEach((zone, i) => {
        const own = marks[i];
        const got = [own?.min, own?.low, own?.high];
        assert.deepEqual(got, [zone.min, zone.low, zone.high], `${name} ${variant} ${zone.name}`);
        fields += 3;
      });
      const ratios = value("lowmem_reserve_ratio");
      for (const node of new Set(zones.map((zone) => zone.node))) {
        const own = zones.filter((zone) => zone.node === node);
        const reserve = lowmemReserve(
          own.map((zone) => zone.managed),
          ratios,
        );
        own.forEach((zone, i) => {
          assert.deepEqual(reserve[i], zone.protection, `${name} ${variant} ${zone.name}`);
          fields += zone.protection.length;
        });
      }
    }
  }
  assert.ok(fields > 20_000, `only ${fields} fields compared`);
});

test("batch is one less than a power of two near a thousandth of the zone", () => {
  const table: [number, number][] = [
    [3840, 0],
    [65536, 15],
    [131072, 31],
    [176128, 63],
    [1e9, 63],
  ];
  for (const [managed, batch] of table) assert.equal(zoneBatch(managed, PAGE), batch, `${managed}`);
});

test("a tuned pageset keeps its bounds in order", () => {
  const era = resolveEra("6.12", "x86_64");
  assert.ok(era !== null);
  const input = fc.record({
    managed: fc.integer({ min: 0, max: 2 ** 31 }),
    lowMark: fc.integer({ min: 0, max: 2 ** 20 }),
    cpus: fc.integer({ min: 1, max: 512 }),
    pageSize: fc.constant(PAGE),
    fraction: fc.constantFrom(0, 8, 100, 1000),
  });
  fc.assert(
    fc.property(input, (zone) => {
      const { high, batch, tunedTo } = pagesetSize(zone, era.policy);
      assert.ok(batch >= 1 && high >= 4 * batch);
      assert.ok(tunedTo !== null && tunedTo.min === high && tunedTo.max >= tunedTo.min);
    }),
  );
});

test("marks: min <= low <= high, shares never exceed min_free_kbytes, exact beyond 2^53", () => {
  const row = fc.record({ managed: fc.integer({ min: 0, max: 2 ** 34 }), special: fc.boolean() });
  const settings = fc.record({
    minFreeKbytes: fc.integer({ min: 0, max: 2 ** 31 }),
    watermarkScaleFactor: fc.integer({ min: 1, max: 3000 }),
    pageSize: fc.constantFrom(4096, 16384, 65536),
  });
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 12 }), settings, (rows, given) => {
      const marks = zoneMarks(rows, given);
      const pagesMin = Math.floor((given.minFreeKbytes * 1024) / given.pageSize);
      let lowmem = 0n;
      for (const own of rows) if (!own.special) lowmem += BigInt(own.managed);
      let shares = 0;
      marks.forEach((m, i) => {
        const own = rows[i];
        assert.ok(own !== undefined && m.min <= m.low && m.low <= m.high && m.high <= m.promo);
        if (own.special || lowmem === 0n) return;
        shares += m.min;
        assert.equal(BigInt(m.min), (BigInt(pagesMin) * BigInt(own.managed)) / lowmem);
      });
      assert.ok(shares <= pagesMin);
    }),
  );
});

test("reserves grow with the zones above, and an empty zone reserves nothing", () => {
  const zones = fc.array(fc.integer({ min: 0, max: 2 ** 32 }), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(zones, fc.array(fc.integer({ min: 0, max: 512 })), (managed, ratios) => {
      lowmemReserve(managed, ratios).forEach((row, i) => {
        row.forEach((pages, j) => {
          if (j <= i || managed[i] === 0) assert.equal(pages, 0);
          else assert.ok(pages >= (row[j - 1] ?? 0));
        });
      });
    }),
  );
});

test("the default ratios by zone name", () => {
  const names = ["DMA", "DMA32", "Normal", "HighMem", "Movable", "Device", "BIGDMA"];
  assert.deepEqual(defaultReserveRatios(names), [256, 256, 32, 0, 0, 0, 256]);
});

test("reserves are the sum of what lies above, divided by the zone's own ratio", () => {
  assert.deepEqual(lowmemReserve([3840, 700_000, 1_000_001], [256, 100, 32]), [
    [0, 2734, 6640],
    [0, 0, 10_000],
    [0, 0, 0],
  ]);
  // No ratio, no pages of its own: nothing is kept; the zones between still count.
  assert.deepEqual(lowmemReserve([5, 0, 320, 64], [0, 1, 32]), [
    [0, 0, 0, 0],
    [0, 0, 0, 0],
    [0, 0, 0, 2],
    [0, 0, 0, 0],
  ]);
  assert.deepEqual(lowmemReserve([5, 0, 320], [2, 1]), [
    [0, 0, 160],
    [0, 0, 0],
    [0, 0, 0],
  ]);
});

test("special zones have a small min of their own, and a gap by their size", () => {
  const marks = (managed: number): (number | undefined)[] => {
    const rows = [
      { managed: 200_000, special: false },
      { managed, special: true },
    ];
    const given = { minFreeKbytes: 4096, watermarkScaleFactor: 10, pageSize: PAGE };
    const [low, own] = zoneMarks(rows, given);
    assert.equal(low?.min, 1024); // what special zones have does not count
    return [own?.min, own?.low, own?.high, own?.promo];
  };
  assert.deepEqual(marks(0), [32, 32, 32, 32]);
  assert.deepEqual(marks(32 * 1024), [32, 73, 114, 155]);
  assert.deepEqual(marks(33 * 1024), [33, 76, 119, 162]);
  assert.deepEqual(marks(128 * 1024), [128, 295, 462, 629]);
  assert.deepEqual(marks(400_000), [128, 640, 1152, 1664]);
  // The share of a special zone, unclamped, can be the larger gap.
  const settings = { minFreeKbytes: 262_144, watermarkScaleFactor: 1, pageSize: PAGE };
  const [, high] = zoneMarks(
    [
      { managed: 100_000, special: false },
      { managed: 50_000, special: true },
    ],
    settings,
  );
  assert.deepEqual([high?.min, high?.low], [48, 8240]);
  // Only special zones: there is nothing to share.
  assert.equal(zoneMarks([{ managed: 50_000, special: true }], settings)[0]?.low, 53);
});

test("min_free_kbytes is the whole root, to the page at squares", () => {
  for (const root of [129, 4096, 65_535]) {
    // lowmem KiB * 16 = root ** 2 needs pages of 4 KiB * 64 = root ** 2.
    const pages = Math.ceil(root ** 2 / 64);
    const exact = Math.floor(Math.sqrt(pages * 64));
    assert.equal(defaultMinFreeKbytes(pages, PAGE, 262_144), exact);
    assert.ok(exact >= root);
    assert.ok(defaultMinFreeKbytes(pages - 1, PAGE, 262_144) < root);
  }
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 40 }), (pages) => {
      const kbytes = defaultMinFreeKbytes(pages, PAGE, 2 ** 40);
      if (kbytes === 128) return;
      const area = BigInt(pages) * 64n;
      assert.ok(BigInt(kbytes) ** 2n <= area && BigInt(kbytes + 1) ** 2n > area);
    }),
  );
  assert.equal(khugepagedMinFreeKbytes(1, 8192, 1e9, 65_536), 8192 * 11 * 64);
});
