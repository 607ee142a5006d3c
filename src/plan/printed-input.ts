/** Printed zones, with what else is told about the machine that printed them. */
import type { Arch } from "../kernels/policy.ts";
import type { PrintedZone } from "./printed-zones.ts";

export interface PrintedInput {
  readonly name: string;
  readonly zones: readonly PrintedZone[];
  /** Release or version; null where nothing tells. */
  readonly kernel: string | null;
  readonly arch: Arch | null;
  readonly pageSize: number;
  /** Of vm/, by name, as far as they are told. */
  readonly sysctls: ReadonlyMap<string, readonly number[]>;
  /** Online CPUs of each node; null where nothing tells. */
  readonly cpus: ReadonlyMap<number, number> | null;
}
