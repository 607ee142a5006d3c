// Every capture as the code under test takes it: its log and its zones read by our own readers, its
// machine and command line from the capture's files, its layout computed.
import assert from "node:assert/strict";
import { type CommandLine, parseCommandLine } from "../../src/boot/command-line.ts";
import type { Hardware, Layout, Managed } from "../../src/boot/hardware.ts";
import { layOut } from "../../src/boot/layout.ts";
import type { BootLog } from "../../src/formats/boot-log.ts";
import { bootLogReader } from "../../src/formats/boot-log-reader.ts";
import { readText } from "../../src/formats/reader.ts";
import type { ZoneinfoZone } from "../../src/formats/zoneinfo.ts";
import { zoneinfoReader } from "../../src/formats/zoneinfo-reader.ts";
import type { Policy } from "../../src/kernels/policy.ts";
import { corpusNames } from "../support/corpus.ts";
import { bootOf } from "../support/hardware.ts";

export interface Boot {
  readonly name: string;
  readonly log: BootLog;
  readonly layout: Layout;
  readonly hardware: Hardware;
  readonly commandLine: CommandLine;
  readonly policy: Policy;
  /** In the order of `layout.zones`. */
  readonly zones: readonly ZoneinfoZone[];
  readonly files: ReadonlyMap<string, string>;
}

export function* allBoots(pattern = /./): Generator<Boot> {
  for (const name of corpusNames(pattern)) {
    const { files, hardware, commandLine: text, policy } = bootOf(name);
    const log = readText(bootLogReader(), files.get("dmesg") ?? "").value;
    const commandLine = parseCommandLine(text, hardware.arch, hardware.build.pageSize).value;
    const layout = layOut(hardware, commandLine, policy).value;
    const printed = readText(zoneinfoReader(), files.get("zoneinfo") ?? "").value.zones;
    const zones = layout.zones.map((zone) => {
      const found = printed.find((one) => one.node === zone.node && one.name === zone.name);
      if (found === undefined) throw new Error(`${name} prints no ${zone.node}/${zone.name}`);
      return found;
    });
    yield { name, log, layout, hardware, commandLine, policy, zones, files };
  }
}

/** The same boot as its log would be without memblock=debug. */
export function withoutMemblock(log: BootLog): BootLog {
  return { ...log, memblock: [], lateFrees: [] };
}

/** A policy and a log for tests that make up their machine. */
export function anyBoot(pattern = /^x86_64-6.1-4G-smp2$/): Boot {
  for (const boot of allBoots(pattern)) return boot;
  throw new Error("no capture matches");
}

/** Managed pages by slot, as zoneinfo prints them. */
export function truthOf(boot: Boot): number[] {
  return boot.zones.map((zone) => zone.managed ?? 0);
}

/** What holds of counts whatever was read. */
export function checkOrder(managed: Managed, layout: Layout, where: string): void {
  managed.zones.forEach((zone, slot) => {
    const present = layout.zones[slot]?.present ?? 0;
    const rising = [0, zone.m0, zone.t1, zone.t2, zone.end, zone.high, present];
    assert.deepEqual(
      rising,
      rising.toSorted((a, b) => a - b),
      where,
    );
    assert.ok(zone.low >= 0 && zone.low <= zone.end, where);
    assert.equal(zone.exact, zone.low === zone.high, where);
  });
}
