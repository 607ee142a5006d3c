// Goal: a devicetree alone says what its board's kernel does with memory.
// Method: two boots of real kernels from a devicetree that has every kind of reserved memory and
// nested windows; single rules on small trees; any tree is survived.
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { readCapture } from "../../src/formats/capture.ts";
import { readFdt } from "../../src/formats/fdt.ts";
import { checkCapture, planMachine } from "../../src/plan/index.ts";
import { boardMachine, boardPlan, treeOf, zoneLines } from "../support/boards.ts";
import { captureFiles, corpusFiles, corpusNames } from "../support/corpus.ts";
import { blob, type Node, node, wide } from "../support/fdt-writer.ts";
import { GIB, MIB } from "../support/machine.ts";

const CORE = node(
  "cpus",
  { "#address-cells": [1], "#size-cells": [0] },
  node("cpu@0", { device_type: "cpu", compatible: "arm,cortex-a53" }),
);
const CELLS = { "#address-cells": [2], "#size-cells": [2] };

function memory(start: number, bytes: number, more: Record<string, number[]> = {}): Node {
  return node(`memory@${start.toString(16)}`, {
    device_type: "memory",
    reg: [...wide(start), ...wide(bytes)],
    ...more,
  });
}

function boardOf(...nodes: Node[]): Uint8Array {
  return blob(node("", { ...CELLS, compatible: "example,board" }, CORE, ...nodes));
}

function reservedMemory(...regions: Node[]): Node {
  return node("reserved-memory", { ...CELLS, ranges: true }, ...regions);
}

const captures = corpusNames(/^arm64-.*-devicetree$/);

describe("boots of real kernels from a devicetree", () => {
  for (const name of captures) {
    test(`${name}: zones, pools and managed pages from the blob, the version and the parameters`, async () => {
      const files = corpusFiles(name);
      const { value: capture } = await readCapture(captureFiles(name));
      const hex = (files.get("fdt") ?? "").replace(/\s+/g, "");
      const kernel = capture.version?.release;
      const plan = boardPlan(treeOf(Buffer.from(hex, "hex")), {
        ...(kernel === undefined ? {} : { kernel }),
        commandLine: capture.commandLine ?? "",
      });
      const planned = plan.nodes.flatMap(({ zones }) => zones);
      for (const zone of capture.zoneinfo?.zones ?? []) {
        const own = planned.find((candidate) => candidate.name === zone.name);
        equal(own?.spanned, zone.spanned);
        equal(own?.present, zone.present);
        const managed = own?.managed ?? { low: 1, high: 0 };
        const pages = zone.managed ?? -1;
        ok(
          managed.low <= pages && pages <= managed.high,
          `${zone.name}: ${JSON.stringify(managed)}`,
        );
        ok(
          Math.abs((own?.managed.pages ?? 0) - pages) <= 16,
          `${zone.name}: ${own?.managed.pages}`,
        );
      }
      // What its log and its /proc/iomem show.
      deepEqual(plan.pools.cma, [{ name: "linux,cma", start: 0x6a000000, bytes: 96 * MIB }]);
      const codec = plan.pools.reserved?.find((region) => region.name === "codec-pool");
      equal(codec?.start, 0x1bfc00000);
    });

    test(`${name}: with its log every field is equal, CMA's late pages too`, async () => {
      const { value: capture } = await readCapture(captureFiles(name));
      const { value: check } = checkCapture(capture);
      deepEqual(check?.differences, []);
      deepEqual(
        check?.plan.pools.cma.map(({ start }) => start),
        [0x6a000000],
      );
    });
  }

  test("there are two", () => equal(captures.length, 2));
});

describe("windows", () => {
  const lines = (...nodes: Node[]): string[] =>
    zoneLines(boardPlan(treeOf(boardOf(...nodes)), { kernel: "6.1" }));
  const bus = (
    name: string,
    properties: Record<string, number[] | true>,
    ...children: Node[]
  ): Node =>
    node(name, { compatible: "simple-bus", ...CELLS, ranges: true, ...properties }, ...children);

  test("none, or empty ones, limit nothing: DMA takes all below 4 GiB (6.19 on a Genio board, armbian/build 9721)", () => {
    const zones = lines(memory(0x40000000, 16 * GIB), bus("soc", { "dma-ranges": true }));
    deepEqual(zones, [
      "DMA 0x40000000-0xffffffff 786432",
      "Normal 0x100000000-0x43fffffff 3407872",
    ]);
  });

  test("of a bus the highest counts, of the buses the lowest, of disabled ones none", () => {
    const window = (at: number, size: number): number[] => [
      ...wide(at),
      ...wide(at),
      ...wide(size),
    ];
    const wideBus = bus("a", { "dma-ranges": [...window(0, GIB), ...window(2 * GIB, GIB)] });
    const narrow = bus("b", { "dma-ranges": window(0, 2 * GIB) });
    const off = node("c", { ...CELLS, status: "disabled", "dma-ranges": window(0, GIB) });
    deepEqual(lines(memory(0, 4 * GIB), wideBus), ["DMA 0x0-0xffffffff 1048576"]);
    deepEqual(lines(memory(0, 4 * GIB), wideBus, narrow, off)[0], "DMA 0x0-0x7fffffff 524288");
  });

  test("are translated bus by bus, neighbours joined; one that a bus above does not carry is left out", () => {
    const inner = bus(
      "inner",
      {
        "dma-ranges": [
          ...wide(0),
          ...wide(0xc0000000),
          ...wide(GIB / 2),
          ...wide(GIB / 2),
          ...wide(0xe0000000),
          ...wide(GIB / 2),
          ...wide(8 * GIB),
          ...wide(0x10),
          ...wide(16),
        ],
      },
      node("dma@1000", { compatible: "example,dma", reg: [0, 0x1000, 0, 0x100] }),
    );
    const outer = bus(
      "outer",
      { "dma-ranges": [...wide(0xc0000000), ...wide(GIB), ...wide(GIB)] },
      inner,
    );
    const machine = boardMachine(treeOf(boardOf(memory(0, 4 * GIB), outer)), { kernel: "6.1" });
    const [device] = machine.value?.devices ?? [];
    deepEqual(device?.windows, [{ cpuStart: GIB, dmaStart: 0, size: GIB }]);
    equal(device?.busLimit, GIB - 1);
    equal(device?.dmaBits, 30);
    const plan = planMachine(machine.value ?? never()).value;
    const reach = plan?.devices.find(({ name }) => name === "1000.dma");
    match(reach?.streamingWords ?? "", /outside of 0x40000000-0x7fffffff/);
    equal(reach?.reach.find(({ zone }) => zone === "DMA")?.reachable, GIB / 4096);
  });

  test("a size that was written as a mask is one larger, and said", () => {
    const odd = bus(
      "soc",
      { "dma-ranges": [...wide(0), ...wide(0), ...wide(GIB - 1)] },
      node("dma@0", { compatible: "x", reg: [0, 0, 0, 1] }),
    );
    const { value } = boardMachine(treeOf(boardOf(memory(0, GIB), odd)), { kernel: "6.1" });
    equal(value?.devices[0]?.busLimit, GIB - 1);
    ok(value?.issues.some(({ message }) => message.includes("takes it for a mask")));
  });

  test("interconnects that go in a circle end", () => {
    const one = bus("one", {
      phandle: [1],
      "#interconnect-cells": [0],
      "dma-ranges": [...wide(0), ...wide(0), ...wide(GIB)],
    });
    const circle = node("one", {
      ...one.properties,
      interconnects: [1],
      "interconnect-names": "dma-mem",
    });
    const { value } = boardMachine(treeOf(boardOf(memory(0, GIB), circle)), { kernel: "6.1" });
    ok(value !== null);
  });
});

describe("reserved memory", () => {
  const pool = (name: string, properties: Record<string, number[] | string | true>): Node =>
    node(name, { compatible: "shared-dma-pool", ...properties });

  test("places are found from the top, aligned (openbmc issue 3871: an FP5280G2, 5.15)", () => {
    // The regions of arch/arm/boot/dts/aspeed-bmc-inspur-fp5280g2.dts, the RAM that its kernel keeps.
    const fixed = (name: string, start: number, size: number): Node =>
      node(name, { reg: [...wide(start), ...wide(size)], "no-map": true });
    const region = (name: string, size: number): Node =>
      pool(name, { size: wide(size), alignment: wide(16 * MIB), reusable: true });
    const regions = reservedMemory(
      fixed("framebuffer@9f000000", 0x9f000000, 16 * MIB),
      fixed("region@98000000", 0x98000000, 64 * MIB),
      fixed("codefire_memory@9ef00000", 0x9ef00000, MIB),
      region("framebuffer", 16 * MIB),
      region("jpegbuffer", 32 * MIB),
    );
    const tree = treeOf(boardOf(memory(0x80000000, 384 * MIB), regions));
    const { pools } = boardPlan(tree, { kernel: "6.1" });
    deepEqual(pools.cma.map(({ name, start }) => [name, start]).slice(0, 2), [
      ["framebuffer", 0x97000000],
      ["jpegbuffer", 0x95000000],
    ]);
  });

  test("what has no place gets it after a sort up to 6.1, and in the tree's order in 6.12", () => {
    // Booted with both of Debian's kernels under QEMU, 2 GiB at 1 GiB; the places are memblock's dump.
    const regions = reservedMemory(
      node("f0@adc00000", { reg: [0, 0xadc00000, 0, 2 * MIB], "no-map": true }),
      node("f1@81c00000", { reg: [0, 0x81c00000, 0, 2 * MIB] }),
      pool("d0", {
        size: wide(2 * MIB),
        "alloc-ranges": [...wide(GIB), ...wide(GIB / 2)],
        reusable: true,
      }),
      pool("d1", { size: wide(32 * MIB), alignment: wide(MIB), "no-map": true }),
      pool("d2", { size: wide(4 * MIB), alignment: wide(16 * MIB), "no-map": true }),
    );
    const tree = treeOf(boardOf(memory(GIB, 2 * GIB), regions));
    const places = (kernel: string): (number | null | undefined)[] => {
      const { pools } = boardPlan(tree, { kernel });
      return ["d0", "d1", "d2"].map(
        (name) => pools.reserved?.find((one) => one.name === name)?.start,
      );
    };
    deepEqual(places("6.1"), [0x5fe00000, 0xbd000000, 0xbf000000]);
    deepEqual(places("6.12"), [0x5fe00000, 0xbe000000, 0xbd000000]);
  });

  test("a default area needs room below the DMA limit", () => {
    const bus = node("soc", {
      ...CELLS,
      compatible: "simple-bus",
      ranges: true,
      "dma-ranges": [...wide(0), ...wide(0), ...wide(GIB)],
    });
    const { pools, issues } = boardPlan(treeOf(boardOf(memory(GIB, 2 * GIB), bus)), {
      kernel: "6.12",
    });
    deepEqual(pools.cma, []);
    ok(issues.some(({ source, severity }) => source === "cma" && severity === "warning"));
  });

  test("each kind is told apart, and one that contradicts itself is ordinary memory", () => {
    const at = (start: number): number[] => [...wide(start), ...wide(MIB * 16)];
    const regions = reservedMemory(
      node("a@10000000", { reg: at(0x10000000), "no-map": true }),
      node("b@11000000", { reg: at(0x11000000) }),
      pool("c@12000000", { reg: at(0x12000000), "no-map": true }),
      pool("d@13000000", { reg: at(0x13000000), reusable: true }),
      node("e@14000000", { compatible: "restricted-dma-pool", reg: at(0x14000000) }),
      pool("f@15000000", { reg: at(0x15000000), reusable: true, "no-map": true }),
      node("g@16000000", { reg: at(0x16000000), status: "disabled" }),
    );
    const { pools } = boardPlan(treeOf(boardOf(memory(0, GIB), regions)), { kernel: "6.1" });
    deepEqual(
      pools.reserved?.map(({ name, kind }) => [name.slice(0, 1), kind]),
      [
        ["a", "no-map"],
        ["b", "reserved"],
        ["c", "coherent"],
        ["d", "cma"],
        ["e", "restricted"],
      ],
    );
  });

  test("pages that are set aside are not managed, CMA's are", () => {
    const managed = (...regions: Node[]): number => {
      const tree = treeOf(
        boardOf(memory(0, GIB), ...(regions.length === 0 ? [] : [reservedMemory(...regions)])),
      );
      const plan = boardPlan(tree, { kernel: "6.1.0-50-arm64", commandLine: "" });
      return plan.nodes
        .flatMap(({ zones }) => zones)
        .reduce((sum, zone) => sum + zone.managed.pages, 0);
    };
    const at = { reg: [0, 0x20000000, 0, 16 * MIB] };
    const without = managed();
    equal(without - managed(node("a@20000000", at)), 4096);
    equal(without - managed(node("a@20000000", { ...at, "no-map": true })), 4096);
    equal(managed(pool("a@20000000", { ...at, reusable: true })), without);
  });

  test("cells that are not the root's make the kernel ignore all", () => {
    const wrong = node(
      "reserved-memory",
      { "#address-cells": [1], "#size-cells": [1], ranges: true },
      node("a@0", { reg: [0, MIB] }),
    );
    const plan = boardPlan(treeOf(boardOf(memory(0, GIB), wrong)), { kernel: "6.1" });
    equal(plan.pools.reserved, undefined);
    ok(
      plan.issues.some(
        ({ source, severity }) => source === "/reserved-memory" && severity === "warning",
      ),
    );
  });

  test("no room is said, and nothing is placed", () => {
    const large = pool("huge", { size: wide(2 * GIB), reusable: true });
    const plan = boardPlan(treeOf(boardOf(memory(0, GIB), reservedMemory(large))), {
      kernel: "6.1",
    });
    equal(plan.pools.reserved?.[0]?.start, null);
    ok(plan.issues.some(({ source, severity }) => source === "huge" && severity === "warning"));
  });

  test("devices are told what they have of their own", () => {
    const regions = reservedMemory(
      pool("video", { size: wide(16 * MIB), "no-map": true, phandle: [7] }),
      node("bounce@20000000", {
        compatible: "restricted-dma-pool",
        reg: [0, 0x20000000, 0, 4 * MIB],
        phandle: [8],
      }),
    );
    const plan = boardPlan(
      treeOf(
        boardOf(
          memory(0, GIB),
          regions,
          node("vpu@1000", { compatible: "x", reg: [0, 0x1000, 0, 1], "memory-region": [7] }),
          node("wifi@2000", { compatible: "y", reg: [0, 0x2000, 0, 1], "memory-region": [8] }),
        ),
      ),
      { kernel: "6.1" },
    );
    const of = (name: string) => plan.devices.find((device) => device.name === name);
    match(of("1000.vpu")?.notes.join() ?? "", /video of 16 MiB/);
    equal(of("2000.wifi")?.streaming, "bounce");
    match(of("2000.wifi")?.notes.join() ?? "", /bounce@20000000 of 4 MiB only/);
  });
});

describe("the machine", () => {
  test("needs an architecture, and memory", () => {
    const core = node("cpu@0", { device_type: "cpu", compatible: "example,core" });
    const strange = blob(node("", CELLS, node("cpus", {}, core), memory(0, GIB)));
    match(boardMachine(treeOf(strange)).issues[0]?.mend ?? "", /--arch/);
    equal(boardMachine(treeOf(strange), { arch: "arm64" }).value?.hardware.arch, "arm64");
    match(boardMachine(treeOf(boardOf())).issues[0]?.mend ?? "", /--ram/);
    equal(boardPlan(treeOf(boardOf()), { ramBytes: GIB }).arch, "arm64");
    // As the kernel's own bcm2711-rpi-4-b.dts: firmware fills the size in.
    const empty = boardPlan(treeOf(boardOf(memory(0, 0))), { ramBytes: GIB });
    deepEqual(zoneLines(empty), ["DMA 0x0-0x3fffffff 262144"]);
    equal(boardMachine(treeOf(strange), { arch: "vax" }).issues[0]?.source, "arch");
    const without = boardMachine(treeOf(blob(node("", CELLS, memory(0, GIB))))).value;
    equal(without?.hardware.arch, "arm64");
    ok(without.issues.some(({ source, severity }) => source === "arch" && severity === "warning"));
  });

  test("nodes and distances follow numa-node-id and the distance map", () => {
    const map = node("distance-map", {
      compatible: "numa-distance-map-v1",
      "distance-matrix": [0, 1, 15],
    });
    const tree = treeOf(
      boardOf(
        memory(GIB, GIB, { "numa-node-id": [0] }),
        memory(2 * GIB, GIB, { "numa-node-id": [1] }),
        map,
      ),
    );
    const { value } = boardMachine(tree, { kernel: "6.1" });
    deepEqual(value?.hardware.nodes, [0, 1]);
    equal(value?.distances?.get(1)?.get(0), 15);
    equal(boardPlan(tree, { kernel: "6.1" }).nodes.length, 2);
  });

  test("IOMMUs stand before those that name them, unless parameters say otherwise", () => {
    const smmu = node("iommu@1000", {
      compatible: "arm,smmu-v3",
      reg: [0, 0x1000, 0, 1],
      "#iommu-cells": [1],
      phandle: [3],
    });
    const tree = treeOf(
      boardOf(
        memory(0, GIB),
        smmu,
        node("gpu@2000", { compatible: "x", reg: [0, 0x2000, 0, 1], iommus: [3, 0] }),
      ),
    );
    const translated = (commandLine: string): boolean | undefined =>
      boardMachine(tree, { commandLine }).value?.devices.find(({ name }) => name === "2000.gpu")
        ?.iommu;
    equal(translated(""), true);
    equal(translated("iommu.passthrough=1"), false);
  });

  test("32-bit boards have the DMA zone of their machine description", () => {
    const tree = treeOf(
      blob(node("", { ...CELLS, compatible: "arm,realview-pbx" }, memory(0, 512 * MIB))),
    );
    deepEqual(zoneLines(boardPlan(tree, { arch: "arm", kernel: "6.1" })), [
      "DMA 0x0-0xfffefff 65535",
      "Normal 0xffff000-0x1fffffff 65537",
    ]);
  });

  test("any changed blob is planned or refused, never thrown at", () => {
    const bytes = Buffer.from(
      (corpusFiles(captures[0] ?? "").get("fdt") ?? "").replace(/\s+/g, ""),
      "hex",
    );
    const change = fc.tuple(fc.nat({ max: 12000 }), fc.nat({ max: 255 }));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), (changes) => {
        const own = Uint8Array.from(bytes);
        for (const [at, byte] of changes) own[at % own.length] = byte;
        const { value: tree } = readFdt(own);
        const machine =
          tree === null ? null : boardMachine(tree, { kernel: "6.1", arch: "arm64" }).value;
        if (machine !== null) planMachine(machine);
      }),
      { numRuns: 200 },
    );
  });
});

function never(): never {
  throw new TypeError("there is no machine");
}
