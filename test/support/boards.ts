// Boards made up for tests after what public sources say of real ones.
import type { Outcome } from "../../src/base/issue.ts";
import { type Devicetree, readFdt } from "../../src/formats/fdt.ts";
import {
  type MachineInput,
  type MachineOptions,
  machineFromDevicetree,
  type Plan,
  planMachine,
} from "../../src/plan/index.ts";
import { blob, type Node, node, wide } from "./fdt-writer.ts";

export interface PiOptions {
  /** Banks: address and size. */
  readonly memory: readonly (readonly [number, number])[];
  /** Bytes of the firmware's CMA area; none when left out. */
  readonly cma?: number;
  /** Where the firmware put the devicetree, which it reserves. */
  readonly devicetreeAt?: number;
}

/**
 * A Raspberry Pi 4: the buses of arch/arm/boot/dts/bcm2711.dtsi, the memory that its firmware fills
 * in, and the area that the vendor's devicetree (bcm270x.dtsi) asks for below 768 MiB.
 */
export function raspberryPi4({ memory, cma, devicetreeAt }: PiOptions): Devicetree {
  const area = node("linux,cma", {
    compatible: "shared-dma-pool",
    size: [cma ?? 0],
    reusable: true,
    "linux,cma-default": true,
    "alloc-ranges": [0, 0, 0x30000000],
  });
  const root = node(
    "",
    {
      "#address-cells": [2],
      "#size-cells": [1],
      compatible: ["raspberrypi,4-model-b", "brcm,bcm2711"],
      model: "Raspberry Pi 4 Model B Rev 1.1",
    },
    node("cpus", { "#address-cells": [1], "#size-cells": [0] }, ...[0, 1, 2, 3].map(core)),
    node("memory@0", {
      device_type: "memory",
      reg: memory.flatMap(([start, size]) => [...wide(start), size]),
    }),
    node(
      "reserved-memory",
      { "#address-cells": [2], "#size-cells": [1], ranges: true },
      ...(cma === undefined ? [] : [area]),
    ),
    node(
      "soc",
      {
        compatible: "simple-bus",
        "#address-cells": [1],
        "#size-cells": [1],
        ranges: [0x7e000000, 0, 0xfe000000, 0x1800000, 0x7c000000, 0, 0xfc000000, 0x2000000],
        "dma-ranges": [0xc0000000, 0, 0, 0x40000000],
      },
      node("dma@7e007000", {
        compatible: "brcm,bcm2835-dma",
        reg: [0x7e007000, 0xb00],
        "#dma-cells": [1],
      }),
      node("mmc@7e300000", { compatible: "brcm,bcm2835-mmc", reg: [0x7e300000, 0x100] }),
      node("usb@7e980000", {
        compatible: "brcm,bcm2708-usb",
        reg: [0x7e980000, 0x10000],
        status: "disabled",
      }),
    ),
    node(
      "scb",
      {
        compatible: "simple-bus",
        "#address-cells": [2],
        "#size-cells": [2],
        ranges: [0, 0x7c000000, 0, 0xfc000000, 0, 0x3800000],
        "dma-ranges": [0, 0, 0, 0, 4, 0],
      },
      node("pcie@7d500000", {
        compatible: "brcm,bcm2711-pcie",
        device_type: "pci",
        reg: [0, 0x7d500000, 0, 0x9310],
        "#address-cells": [3],
        "#size-cells": [2],
        ranges: [0x02000000, 0, 0xc0000000, 6, 0, 0, 0x40000000],
        "dma-ranges": [0x02000000, 0, 0, 0, 0, 0, 0xc0000000],
      }),
      node("ethernet@7d580000", {
        compatible: "brcm,bcm2711-genet-v5",
        reg: [0, 0x7d580000, 0, 0x10000],
      }),
    ),
  );
  const reservations = devicetreeAt === undefined ? [] : ([[devicetreeAt, 0x10000]] as const);
  return treeOf(blob(root, { reservations }));
}

function core(cpu: number): Node {
  return node(`cpu@${cpu}`, { device_type: "cpu", compatible: "arm,cortex-a72", reg: [cpu] });
}

/** A whole tree; fails where the blob is none. */
export function treeOf(bytes: Uint8Array): Devicetree {
  const { value, issues } = readFdt(bytes);
  if (value === null) throw new TypeError(issues.map(({ message }) => message).join("; "));
  return value;
}

export function boardMachine(
  tree: Devicetree,
  options: MachineOptions = {},
): Outcome<MachineInput | null> {
  return machineFromDevicetree(tree, "board", options);
}

/** The plan of a board that has one. */
export function boardPlan(tree: Devicetree, options: MachineOptions = {}): Plan {
  const { value, issues } = boardMachine(tree, options);
  const plan = value === null ? null : planMachine(value);
  if (plan?.value == null) throw new TypeError(JSON.stringify([issues, plan?.issues]));
  return plan.value;
}

/** Populated zones as a boot log prints them: "DMA 0x0-0x3fffffff 242688". */
export function zoneLines({ nodes, pageSize }: Plan): string[] {
  return nodes.flatMap(({ zones }) =>
    zones.flatMap(({ name, startPfn, spanned, present }) => {
      if (startPfn === null) return [];
      const last = (startPfn + spanned) * pageSize - 1;
      return [`${name} 0x${(startPfn * pageSize).toString(16)}-0x${last.toString(16)} ${present}`];
    }),
  );
}
