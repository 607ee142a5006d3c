/**
 * The answer of `planMachine`: which zones, watermarks, reserves and pools a
 * machine will have, and what each device gets.
 *
 * Pages everywhere unless a name says bytes or KiB. `from` and `basis` say
 * where a number comes from; `issues` what was guessed or could not be known.
 */
import type { Issue } from "../base/issue.ts";
import type { Range } from "../base/range.ts";
import type { ManagedSource, Pools } from "../boot/hardware.ts";
import type { Settings } from "../boot/timeline.ts";
import type { DeviceReach } from "../dma/reach.ts";
import type { Arch, Basis } from "../kernels/policy.ts";
import type { PagesetSize } from "../mm/pageset.ts";
import type { PlannedMaskPool } from "./mask-pool.ts";

/**
 * When the printed marks, reserves and pagesets were computed.
 *
 *   boot      by the initcalls of the boot, from counts of that moment
 *   settled   again after the end of boot, as any `sysctl -p` or `sysctl -a`
 *             makes the kernel do, from the counts zoneinfo prints
 */
export type Moment = "boot" | "settled";

export interface PlannedManaged {
  readonly pages: number;
  /** What the zone held when its marks were computed. */
  readonly atWatermarks: number;
  readonly exact: boolean;
  readonly from: ManagedSource;
  /** Bounds of `pages`; both equal it when exact. */
  readonly low: number;
  readonly high: number;
}

export interface PlannedZone {
  readonly name: string;
  readonly index: number;
  /** null for an empty zone, which has no start. */
  readonly startPfn: number | null;
  readonly spanned: number;
  readonly present: number;
  readonly managed: PlannedManaged;
  readonly watermarks: {
    readonly min: number;
    readonly low: number;
    readonly high: number;
    /** null where zoneinfo of the era does not print it. */
    readonly promo: number | null;
  };
  /** lowmem_reserve[]: pages kept from requests that could use zone j, by zone index. */
  readonly protection: readonly number[];
  /** null for an empty zone, which has no pageset. */
  readonly pageset: PagesetSize | null;
  /** RAM of the zone in pfns, sorted: what lies between are holes. */
  readonly ram: readonly Range[];
}

export interface PlannedNode {
  readonly node: number;
  readonly cpus: number;
  readonly zones: readonly PlannedZone[];
  /** Zones a request from this node tries, first to last, populated ones only. */
  readonly zonelist: readonly { readonly node: number; readonly zone: string }[];
}

export interface Plan {
  /** What to call the machine: the capture's or description's name. */
  readonly machine: string;
  /** The kernel asked for: a release, or an era's name. */
  readonly kernel: string;
  readonly era: {
    readonly name: string;
    readonly basis: Basis;
    /** False: say "unverified", no capture of this era on this architecture was reproduced. */
    readonly verified: boolean;
  };
  readonly arch: Arch;
  readonly pageSize: number;
  /** Zones taken from the boot log's own lines, or computed. */
  readonly layoutFrom: "log" | "parameters" | "zoneinfo";
  readonly moment: Moment;
  readonly nodes: readonly PlannedNode[];
  /** Values in force after boot and the given sysctl writes. */
  readonly sysctls: Settings;
  readonly pools: Pools;
  /** In place of ZONE_DMA, where it was asked for; null otherwise. */
  readonly maskPool: PlannedMaskPool | null;
  readonly devices: readonly DeviceReach[];
  readonly issues: readonly Issue[];
}
