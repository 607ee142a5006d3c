// Goal: a Raspberry Pi 4's devicetree gives the zones and the CMA area that such boards print.
// Method: the buses of the kernel's own bcm2711.dtsi and the memory banks of public boot logs, each
// named by where it can be read; the zones, pages and areas are those logs' lines.
import { deepEqual, equal } from "node:assert/strict";
import { describe, test } from "node:test";
import { boardPlan, raspberryPi4, zoneLines } from "../support/boards.ts";
import { MIB } from "../support/machine.ts";

const UPPER: readonly [number, number] = [0x40000000, 0xbc000000];
/** The firmware puts the devicetree just below 0x2f000000 (start4.elf of these logs). */
const DEVICETREE_AT = 0x2eff0000;

describe("64-bit kernels", () => {
  test("4 GiB, 5.10.3-v8+: raspberrypi/linux issue 4044", () => {
    const memory = [[0, 0x3b400000], UPPER] as const;
    const tree = raspberryPi4({ memory, cma: 256 * MIB, devicetreeAt: DEVICETREE_AT });
    const plan = boardPlan(tree, { kernel: "5.10.3-v8+" });
    deepEqual(zoneLines(plan), ["DMA 0x0-0x3fffffff 242688", "DMA32 0x40000000-0xfbffffff 770048"]);
    deepEqual(plan.pools.cma, [{ name: "linux,cma", start: 0x1ec00000, bytes: 256 * MIB }]);
  });

  test("4 GiB, 64 MiB of CMA: home-assistant/operating-system issue 1467", () => {
    const memory = [[0, 0x3b300000], UPPER] as const;
    const tree = raspberryPi4({ memory, cma: 64 * MIB, devicetreeAt: DEVICETREE_AT });
    const plan = boardPlan(tree, { kernel: "5.10" });
    deepEqual(zoneLines(plan), ["DMA 0x0-0x3fffffff 242432", "DMA32 0x40000000-0xfbffffff 770048"]);
    deepEqual(plan.pools.cma, [{ name: "linux,cma", start: 0x2ac00000, bytes: 64 * MIB }]);
  });

  for (const kernel of ["5.10", "6.1", "6.12"]) {
    test(`8 GiB: raspberrypi/linux issue 4600, by the rules of ${kernel}`, () => {
      const memory = [
        [0, 0x37f00000],
        UPPER,
        [0x100000000, 0x80000000],
        [0x180000000, 0x80000000],
      ] as const;
      deepEqual(zoneLines(boardPlan(raspberryPi4({ memory }), { kernel })), [
        "DMA 0x0-0x3fffffff 229120",
        "DMA32 0x40000000-0xffffffff 770048",
        "Normal 0x100000000-0x1ffffffff 1048576",
      ]);
    });
  }
});

describe("32-bit kernels", () => {
  test("4 GiB, 4.19.57-v7l+: raspberrypi/firmware issue 1181, by the rules of 5.10", () => {
    const memory = [[0, 0x3b400000], UPPER] as const;
    const options = { kernel: "5.10", arch: "arm-lpae", commandLine: "cma=256M" };
    deepEqual(zoneLines(boardPlan(raspberryPi4({ memory }), options)), [
      "DMA 0x0-0x2fffffff 196608",
      "HighMem 0x30000000-0xfbffffff 816128",
    ]);
  });

  test("2 GiB: raspberrypi/linux issue 4117", () => {
    const memory = [
      [0, 0x3b400000],
      [0x40000000, 0x40000000],
    ] as const;
    const tree = raspberryPi4({ memory, cma: 256 * MIB, devicetreeAt: DEVICETREE_AT });
    const plan = boardPlan(tree, { kernel: "5.10", arch: "arm-lpae" });
    deepEqual(zoneLines(plan), [
      "DMA 0x0-0x2fffffff 196608",
      "HighMem 0x30000000-0x7fffffff 308224",
    ]);
    // The board's own kernel aligns to 4 MiB and has it at 0x1ec00000; the build that is planned for
    // where none is known is Debian's, whose blocks are twice as large.
    equal(plan.pools.cma[0]?.start, 0x1e800000);
  });

  test("8 GiB, 512 MiB of CMA, 6.1.1: raspberrypi/linux issue 5297", () => {
    const memory = [
      [0, 0x3b400000],
      UPPER,
      [0x100000000, 0x80000000],
      [0x180000000, 0x80000000],
    ] as const;
    const tree = raspberryPi4({ memory, cma: 512 * MIB, devicetreeAt: DEVICETREE_AT });
    const plan = boardPlan(tree, { kernel: "6.1.1-1-rpi-ARCH", arch: "arm-lpae" });
    equal(zoneLines(plan).at(-1)?.split(" ", 2).join(" "), "HighMem 0x30000000-0x1ffffffff");
    equal(plan.pools.cma[0]?.bytes, 512 * MIB);
  });
});

test("devices have the names that Linux prints, and the windows of their buses", () => {
  const memory = [[0, 0x3b400000], UPPER, [0x100000000, 0x80000000]] as const;
  const plan = boardPlan(raspberryPi4({ memory }), { kernel: "6.1" });
  const found = plan.devices
    .filter(({ name }) => !/^\d+-bit$/.test(name))
    .map(({ name, dmaBits, streamingWords, coherentFrom }) => {
      return [name, dmaBits, streamingWords, coherentFrom];
    });
  deepEqual(found, [
    ["fe007000.dma", 32, "bounce above 1 GiB", "DMA"],
    ["fe300000.mmc", 32, "bounce above 1 GiB", "DMA"],
    // Three GiB of a 64-bit bus: the limit is in DMA32, which the bus covers all but the top of.
    ["behind fd500000.pcie", 64, "bounce above 3 GiB", "DMA32"],
    ["fd580000.ethernet", 40, "direct", "Normal"],
  ]);
});

test("the parameter takes the place of the firmware's area", () => {
  const memory = [[0, 0x3b400000], UPPER] as const;
  const tree = raspberryPi4({ memory, cma: 256 * MIB });
  const { pools, issues } = boardPlan(tree, { kernel: "6.1", commandLine: "cma=128M" });
  deepEqual(
    pools.cma.map(({ name, bytes }) => [name, bytes]),
    [["reserved", 128 * MIB]],
  );
  equal(
    issues.some(({ source, message }) => source === "linux,cma" && message.includes("cma=")),
    true,
  );
});
