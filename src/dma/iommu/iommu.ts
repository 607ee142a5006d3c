/**
 * An IOMMU: groups of devices with a domain each, the kernel's clock as far as it
 * matters here, and what the kernel logs.
 *
 * A device that nobody attached gets a group of its own at its first call. Time
 * passes only by `tick`; `flushTimer` is the flush of all lazy domains.
 *
 * Linux: iommu_group_get_for_dev(), drivers/iommu/iommu.c
 */
import type { Range } from "../../base/range.ts";
import { type IommuVendor, type IovaRule, iovaRule } from "../../kernels/iommu.ts";
import { parseGfp } from "../../mm/gfp.ts";
import { addRegion } from "../../mm/image.ts";
import type { Memory } from "../../mm/memory.ts";
import type { Bounce } from "../bounce.ts";
import type { DmaDevice } from "../dma-device.ts";
import type { BusFault, DmaOps } from "../ops.ts";
import { type DomainCounts, domainCounts } from "./counts.ts";
import { createDomain, type Domain, flushDomain, tickDomain, verifyDomain } from "./domain.ts";
import type { IommuEvent } from "./events.ts";
import { type FaultKind, faultMessage, isPci } from "./faults.ts";
import { forgetCpu } from "./iova-domain.ts";
import { destroyPageTable } from "./page-table.ts";

export type DomainMode = "strict" | "lazy" | "identity";

export interface IommuSpec {
  readonly memory: Memory;
  readonly vendor: IommuVendor;
  /** Release of the kernel, e.g. "6.1.176". */
  readonly version: string;
  /** Of domains that nothing else is said of: iommu.strict=, iommu.passthrough=. */
  readonly mode: DomainMode;
  /** 3 for 39 bits of address, 4 for 48 (the default), 5 for 57. */
  readonly levels?: number;
  /** log2 of the page sizes that the hardware maps; 4 KiB, 2 MiB and 1 GiB by default. */
  readonly pageShifts?: readonly number[];
  readonly cpus?: number;
  /** iommu.forcedac=1: addresses above 4 GiB from the start. */
  readonly forceDac?: boolean;
  /** Bounce buffers for untrusted devices. */
  readonly bounce?: Bounce | null;
  /** How devices of identity domains reach memory. */
  readonly identity?: DmaOps | null;
  /** Memory windows of PCI host bridges, bytes: no addresses there. */
  readonly windows?: readonly Range[];
  readonly maxRanges?: number;
  readonly maxTables?: number;
  /** Told what the kernel's trace events tell. */
  readonly event?: (event: IommuEvent) => void;
}

/** What firmware and sysfs say of a device's group. */
export interface GroupChoice {
  /** Devices of one number share a domain. */
  readonly group?: number;
  readonly mode?: DomainMode;
  readonly reserved?: readonly Range[];
  /** Mapped at its own address: RMRRs, IVMDs. */
  readonly direct?: readonly Range[];
}

export interface IommuGroup {
  readonly number: number;
  readonly mode: DomainMode;
  readonly devices: string[];
  /** null for identity. */
  readonly domain: Domain | null;
}

/** x86's window of interrupt messages. */
const MSI: Range = { start: 0xfee00000, end: 0xfef00000 };
const BURST = 10;
const INTERVAL_MS = 5000;

const W_NOW = 0;
const W_WINDOW = 1;
const W_SAID = 2;
const W_MISSED = 3;
const W_FAULTS = 4;
const WORDS = 5;
/** Groups whose "first below 4 GiB" a column of bytes remembers. */
const MAX_GROUPS = 1024;

export class Iommu {
  readonly spec: IommuSpec;
  readonly rule: IovaRule;
  /** Lines as the kernel logs them, without their time. */
  readonly log: string[] = [];
  readonly #groups = new Map<number, IommuGroup>();
  readonly #groupOf = new Map<string, IommuGroup>();
  readonly #words: Float64Array;
  readonly #left32: Uint8Array;
  readonly #once = new Set<string>();
  /** Domains made so far: each has regions of its own in the image. */
  #made = 0;

  constructor(spec: IommuSpec) {
    this.spec = spec;
    this.rule = iovaRule(spec.version);
    const region = addRegion(spec.memory.image, "iommu", WORDS * 8 + MAX_GROUPS);
    this.#words = new Float64Array(region.buffer, region.byteOffset, WORDS);
    this.#left32 = new Uint8Array(region.buffer, region.byteOffset + WORDS * 8, MAX_GROUPS);
  }

  get cpus(): number {
    return this.spec.cpus ?? this.spec.memory.cpuCount;
  }

  get pageShifts(): readonly number[] {
    return this.spec.pageShifts ?? [12, 21, 30];
  }

  get now(): number {
    return this.#words[W_NOW];
  }

  /** Accesses that were stopped, logged or not. */
  get faults(): number {
    return this.#words[W_FAULTS];
  }

  /** Devices and mode of each group. */
  get groups(): readonly IommuGroup[] {
    return [...this.#groups.values()];
  }

  /** Puts a device into a group; the first one of a group decides about its domain. */
  attach(device: DmaDevice, choice: GroupChoice = {}): boolean {
    const number = choice.group ?? this.#freeNumber();
    const group = this.#groups.get(number) ?? this.#createGroup(number, device, choice);
    if (group === null) return false;
    group.devices.push(device.name);
    this.#groupOf.set(device.name, group);
    this.event({ name: "add_device_to_group", group: number, device: device.name });
    this.event({ name: "attach_device_to_domain", device: device.name });
    return true;
  }

  #freeNumber(): number {
    let number = 0;
    while (this.#groups.has(number)) number++;
    return number;
  }

  #createGroup(number: number, device: DmaDevice, choice: GroupChoice): IommuGroup | null {
    const { memory, vendor, windows = [] } = this.spec;
    // What firmware does not trust is translated, and unmapped at once.
    const mode = device.untrusted ? "strict" : (choice.mode ?? this.spec.mode);
    let domain: Domain | null = null;
    if (mode !== "identity") {
      const msi = vendor === "smmu-v3" ? [] : [MSI];
      domain = createDomain({
        name: `${this.#made++}`,
        memory,
        vendor,
        rule: this.rule,
        lazy: mode === "lazy",
        levels: this.spec.levels ?? 4,
        pageShifts: this.pageShifts,
        cpus: this.cpus,
        gfp: parseGfp("GFP_ATOMIC|__GFP_ZERO", memory.gfp.era).value,
        maxRanges: this.spec.maxRanges ?? 1 << 14,
        maxTables: this.spec.maxTables ?? 1 << 12,
        reserved: [...(isPci(device.name) ? windows : []), ...(choice.reserved ?? msi)],
        direct: choice.direct ?? [],
        event: (event) => this.event(event),
      });
      if (domain === null) return null;
    }
    const group = { number, mode, devices: [], domain };
    this.#groups.set(number, group);
    return group;
  }

  /**
   * The devices of a group are gone: its tables go back to the page allocator. What
   * they had mapped must be unmapped by then. False for a group that is none.
   */
  remove(number: number): boolean {
    const group = this.#groups.get(number);
    if (group === undefined) return false;
    if (group.domain !== null) {
      flushDomain(group.domain, 0);
      destroyPageTable(group.domain.table);
    }
    this.#groups.delete(number);
    for (const name of group.devices) this.#groupOf.delete(name);
    return true;
  }

  /** A CPU went away: what it had cached can be had by others. Linux: iova_cpuhp_dead() */
  forgetCpu(cpu: number): void {
    for (const { domain } of this.#groups.values())
      if (domain !== null) forgetCpu(domain.iova, cpu);
  }

  /** What each group has done and holds; identity groups have no domain. */
  counts(): ReadonlyMap<number, DomainCounts> {
    const found = new Map<number, DomainCounts>();
    for (const { number, domain } of this.#groups.values()) {
      if (domain !== null) found.set(number, domainCounts(domain));
    }
    return found;
  }

  /** The device's group, made if there is none yet; null without memory for its tables. */
  groupFor(device: DmaDevice): IommuGroup | null {
    const known = this.#groupOf.get(device.name);
    if (known !== undefined) return known;
    return this.attach(device) ? (this.#groupOf.get(device.name) ?? null) : null;
  }

  /** Whether a device asks below 4 GiB first. Linux: pci_32bit_workaround, since 6.5 */
  asksFirst32(device: DmaDevice, group: IommuGroup): boolean {
    if (this.spec.forceDac === true || !isPci(device.name)) return false;
    return this.rule.pci32First === "always" || this.#left32[group.number % MAX_GROUPS] === 0;
  }

  /** A try below 4 GiB failed. */
  leave32(device: DmaDevice, group: IommuGroup, limit: number): void {
    if (this.rule.pci32First === "always") return;
    this.#left32[group.number % MAX_GROUPS] = 1;
    const bits = Math.ceil(Math.log2(limit + 1));
    const driver = device.driver === "" ? "pci" : device.driver;
    this.log.push(`${driver} ${device.name}: Using ${bits >= 53 ? 64 : bits}-bit DMA addresses`);
  }

  event(event: IommuEvent): void {
    this.spec.event?.(event);
  }

  sayOnce(key: string, line: string): void {
    if (this.#once.has(key)) return;
    this.#once.add(key);
    this.log.push(line);
  }

  /** An access was stopped; the log is limited as the kernel's: ten in five seconds. */
  fault(
    device: DmaDevice,
    group: IommuGroup,
    address: number,
    write: boolean,
    kind: FaultKind,
  ): BusFault {
    const { vendor, version } = this.spec;
    const domainId = group.number + 1;
    const message = faultMessage({ vendor, version, device, domainId, address, write, kind });
    this.#words[W_FAULTS]++;
    this.event({
      name: "io_page_fault",
      driver: device.driver,
      device: device.name,
      address,
      write,
    });
    this.#limited(message);
    const reason = kind === "direction" ? "direction" : "unmapped";
    return { reason, address, message };
  }

  /** Linux: ___ratelimit(), lib/ratelimit.c */
  #limited(message: string): void {
    const words = this.#words;
    if (words[W_SAID] === 0 || words[W_NOW] - words[W_WINDOW] >= INTERVAL_MS) {
      if (words[W_MISSED] > 0) this.log.push(`iommu: ${words[W_MISSED]} callbacks suppressed`);
      words[W_WINDOW] = words[W_NOW];
      words[W_SAID] = 0;
      words[W_MISSED] = 0;
    }
    if (words[W_SAID] === BURST) words[W_MISSED]++;
    else {
      words[W_SAID]++;
      this.log.push(...message.split("\n"));
    }
  }

  /** The time is `now`, ms, and timers that are due fire on `cpu`. */
  tick(now: number, cpu: number = 0): void {
    this.#words[W_NOW] = now;
    for (const { domain } of this.#groups.values())
      if (domain !== null) tickDomain(domain, now, cpu);
  }

  /** All that waits for a flush is flushed now. */
  flushTimer(cpu: number = 0): void {
    for (const { domain } of this.#groups.values()) if (domain !== null) flushDomain(domain, cpu);
  }

  /** What is wrong, by invariant and group; empty when nothing is. */
  verify(): string[] {
    return [...this.#groups.values()].flatMap(({ number, domain }) =>
      domain === null ? [] : verifyDomain(domain).map((words) => `group ${number}: ${words}`),
    );
  }
}
