/**
 * The NUMA topology of /sys/devices/system/node: lists of nodes, and for each
 * node its CPUs, its distances and its own meminfo.
 *
 *   online  possible  has_memory  has_normal_memory  has_cpu      "0-1,3"
 *   nodeN/cpulist                                                "0-3", empty for none
 *   nodeN/distance                                               "10 20"
 *
 * Linux: node_read_cpumap(), node_read_distance(), drivers/base/node.c
 */
import type { Meminfo } from "./meminfo.ts";

export interface Nodes {
  /** Nodes by number, ascending. */
  readonly online: readonly number[];
  /** The other lists; null where the file is absent. */
  readonly possible: readonly number[] | null;
  readonly hasMemory: readonly number[] | null;
  readonly hasNormalMemory: readonly number[] | null;
  readonly hasCpu: readonly number[] | null;
  /** Online nodes without memory. */
  readonly memoryless: readonly number[];
  /** CPUs of each node; a CPU can be in several under numa=fake. */
  readonly cpus: ReadonlyMap<number, readonly number[]>;
  /** SLIT distances from each node to the online ones, in their order. */
  readonly distances: ReadonlyMap<number, readonly number[]>;
  readonly meminfo: ReadonlyMap<number, Meminfo>;
}

/** What has been read so far: lists by file name, the rest by node. */
export class NodesDraft {
  readonly lists: Map<string, readonly number[]> = new Map();
  readonly cpus: Map<number, readonly number[]> = new Map();
  readonly distances: Map<number, readonly number[]> = new Map();
  readonly meminfo: Map<number, Meminfo> = new Map();

  /** The topology, or null when nothing was read. Nodes with a folder are online. */
  nodes(): Nodes | null {
    const folders = [...this.cpus.keys(), ...this.distances.keys(), ...this.meminfo.keys()];
    const seen = [...new Set(folders)].sort((a, b) => a - b);
    const online = this.lists.get("online") ?? seen;
    if (online.length === 0) return null;
    const hasMemory = this.lists.get("has_memory") ?? null;
    const isEmpty = (node: number): boolean =>
      hasMemory === null
        ? this.meminfo.get(node)?.get("MemTotal") === 0
        : !hasMemory.includes(node);
    return {
      online,
      possible: this.lists.get("possible") ?? null,
      hasMemory,
      hasNormalMemory: this.lists.get("has_normal_memory") ?? null,
      hasCpu: this.lists.get("has_cpu") ?? null,
      memoryless: online.filter(isEmpty),
      cpus: this.cpus,
      distances: this.distances,
      meminfo: this.meminfo,
    };
  }
}
