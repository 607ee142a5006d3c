/**
 * A flattened devicetree (.dtb, /sys/firmware/fdt): the firmware's description of a board, as a tree
 * of named nodes with properties of bytes.
 *
 *   header          magic d00dfeed, total size, offsets of the blocks, version; big-endian words
 *   reservations    pairs of 64-bit address and size, until a size of 0
 *   structure       BEGIN_NODE name, PROP length name-offset bytes, NOP, END_NODE, END; 4-byte aligned
 *   strings         names of properties, NUL-terminated, shared
 *
 * The walk is one pass from front to back and never goes deeper than the limits below, so nothing
 * that a file says makes it loop; every offset is compared with the block that it points into.
 *
 * Linux: unflatten_device_tree(), drivers/of/fdt.c; fdt_next_tag(), scripts/dtc/libfdt/fdt.c
 */
import type { Issue, Outcome } from "../base/issue.ts";

export interface FdtNode {
  /** "memory@0"; "" for the root. */
  readonly name: string;
  readonly parent: FdtNode | null;
  /** First one of each name, as the kernel finds it. */
  readonly properties: ReadonlyMap<string, Uint8Array>;
  readonly children: readonly FdtNode[];
}

export interface Devicetree {
  readonly root: FdtNode;
  /** The reservation block: ranges that nobody may use, half-open bytes. */
  readonly reservations: readonly { readonly start: number; readonly end: number }[];
  /** Size of the blob, bytes; 0 where the tree did not come as a blob. */
  readonly bytes: number;
}

/** First bytes of a blob. */
export const FDT_MAGIC: readonly number[] = [0xd0, 0x0d, 0xfe, 0xed];

const HEADER_BYTES = 40;
const BEGIN_NODE = 1;
const END_NODE = 2;
const PROP = 3;
const NOP = 4;
const END = 9;
/** The version that wrote down what there is now, and the first compatible with it. */
const VERSION = 17;
const VERSION_COMPATIBLE = 16;
/** Linux: FDT_MAX_DEPTH, drivers/of/fdt.c */
const DEPTH_MAX = 64;
/** No board comes near; a file that does is no devicetree. */
const NODES_MAX = 200_000;
const RESERVATIONS_MAX = 4096;
/** Names of nodes end at 31 characters and a unit address, those of properties at 31. */
const NAME_MAX = 1024;

export interface MutableNode extends FdtNode {
  readonly properties: Map<string, Uint8Array>;
  readonly children: MutableNode[];
}

/** An empty node below `parent`, or a root. */
export function newNode(name: string, parent: MutableNode | null): MutableNode {
  const node: MutableNode = { name, parent, properties: new Map(), children: [] };
  parent?.children.push(node);
  return node;
}

/** Value null, with an error that names the offset, for what is no whole devicetree. */
export function readFdt(blob: Uint8Array): Outcome<Devicetree | null> {
  const issues: Issue[] = [];
  const header = headerOf(blob);
  if (typeof header === "string") return broken(header, issues);
  const reservations = reservationsOf(blob, header, issues);
  const root = structureOf(blob, header, issues);
  if (typeof root === "string") return broken(root, issues);
  return { value: { root, reservations, bytes: header.total }, issues };
}

export function isFdt(head: Uint8Array): boolean {
  return FDT_MAGIC.every((byte, i) => head[i] === byte);
}

/** Offsets are within the blob; `end` are exclusive. */
interface Header {
  readonly total: number;
  readonly structure: number;
  readonly structureEnd: number;
  readonly strings: number;
  readonly stringsEnd: number;
  readonly reservations: number;
}

/** The header, or in words what is wrong with it. */
function headerOf(blob: Uint8Array): Header | string {
  if (!isFdt(blob)) return "it does not start with d00dfeed";
  if (blob.length < HEADER_BYTES) return `the header is cut at ${blob.length} bytes`;
  const total = word(blob, 4);
  const structure = word(blob, 8);
  const strings = word(blob, 12);
  const reservations = word(blob, 16);
  const version = word(blob, 20);
  const compatible = word(blob, 24);
  if (version < VERSION_COMPATIBLE || compatible > VERSION) {
    return `version ${version} (compatible with ${compatible}) is none of ${VERSION_COMPATIBLE} to ${VERSION}`;
  }
  if (total > blob.length) return `it is cut: ${blob.length} of ${total} bytes are there`;
  const stringsEnd = strings + word(blob, 32);
  // Version 16 does not tell the size of the structure block.
  const structureEnd = version >= VERSION ? structure + word(blob, 36) : total;
  if (structure % 4 !== 0) return "the structure block is not aligned";
  const blocks: readonly (readonly [string, number, number])[] = [
    ["structure", structure, structureEnd],
    ["strings", strings, stringsEnd],
    ["reservation", reservations, reservations],
  ];
  for (const [name, start, end] of blocks) {
    if (start < HEADER_BYTES || end > total) {
      return `the ${name} block (${start} to ${end}) is not within the ${total} bytes`;
    }
  }
  return { total, structure, structureEnd, strings, stringsEnd, reservations };
}

function reservationsOf(
  blob: Uint8Array,
  { reservations: from, total }: Header,
  issues: Issue[],
): { readonly start: number; readonly end: number }[] {
  const found: { start: number; end: number }[] = [];
  for (let at = from; ; at += 16) {
    if (at + 16 > total || found.length >= RESERVATIONS_MAX) {
      const message = "the list of reserved memory has no end: what follows is not used";
      issues.push({ severity: "warning", message });
      return found;
    }
    const start = wide(blob, at);
    const size = wide(blob, at + 8);
    if (size === 0) return found;
    found.push({ start, end: Math.min(start + size, Number.MAX_SAFE_INTEGER) });
  }
}

/** The root, or in words what is wrong and where. */
function structureOf(blob: Uint8Array, header: Header, issues: Issue[]): FdtNode | string {
  const { structure, structureEnd } = header;
  let at = structure;
  let root: MutableNode | null = null;
  const path: MutableNode[] = [];
  let nodes = 0;
  while (at + 4 <= structureEnd) {
    const tag = word(blob, at);
    const place = at;
    const node = path.at(-1) ?? null;
    at += 4;
    if (tag === NOP) continue;
    if (tag === END) {
      if (root === null) return "it has no node";
      return node === null ? root : `the tree ends inside node "${node.name}"`;
    }
    if (tag === BEGIN_NODE) {
      const name = textAt(blob, at, structureEnd);
      if (name === null) return `the name of a node at offset ${place} is too long`;
      if (root !== null && node === null) return `a second root follows at offset ${place}`;
      if (path.length >= DEPTH_MAX)
        return `nodes are more than ${DEPTH_MAX} deep at offset ${place}`;
      if (++nodes > NODES_MAX) return `it has more than ${NODES_MAX} nodes`;
      at = aligned(at + name.length + 1);
      const own = newNode(name, node);
      path.push(own);
      root ??= own;
    } else if (tag === END_NODE) {
      if (node === null) return `a node ends at offset ${place} that has not begun`;
      path.pop();
    } else if (tag === PROP) {
      const end = propertyAt(blob, at, header, node, issues);
      if (typeof end === "string") return `${end} at offset ${place}`;
      at = end;
    } else return `there is no tag ${tag} (offset ${place})`;
  }
  return "the structure block has no end";
}

/** Adds the property at `at` to `node`; the offset after it, or in words what is wrong. */
function propertyAt(
  blob: Uint8Array,
  at: number,
  { structureEnd, strings, stringsEnd }: Header,
  node: MutableNode | null,
  issues: Issue[],
): number | string {
  if (at + 8 > structureEnd) return "a property is cut";
  const length = word(blob, at);
  const nameAt = strings + word(blob, at + 4);
  const start = at + 8;
  if (node === null) return "a property is outside of all nodes";
  if (start + length > structureEnd) return `a property of ${length} bytes leaves the block`;
  const name = nameAt < stringsEnd ? textAt(blob, nameAt, stringsEnd) : null;
  if (name === null) return "the name of a property is not in the block of names";
  if (!node.properties.has(name)) {
    node.properties.set(name, blob.subarray(start, start + length));
  } else {
    const message = `${name} is twice in node "${node.name}": the first counts`;
    issues.push({ severity: "note", message });
  }
  return aligned(start + length);
}

function broken(message: string, issues: Issue[]): Outcome<null> {
  const mend = "copy the .dtb, or /sys/firmware/fdt, again";
  return { value: null, issues: [...issues, { severity: "error", message, mend }] };
}

/** Text up to a NUL before `end`; null where none is near. */
function textAt(blob: Uint8Array, at: number, end: number): string | null {
  const room = blob.subarray(at, Math.min(end, at + NAME_MAX + 1));
  const stop = room.indexOf(0);
  return stop < 0 ? null : String.fromCharCode(...room.subarray(0, stop));
}

function aligned(at: number): number {
  return at + ((4 - (at % 4)) % 4);
}

/** The big-endian word at `at`; 0 beyond the end. */
function word(bytes: Uint8Array, at: number): number {
  const [a = 0, b = 0, c = 0, d = 0] = bytes.subarray(at, at + 4);
  return a * 2 ** 24 + b * 2 ** 16 + c * 2 ** 8 + d;
}

/** 64 bits, at most 2^53 - 1. */
function wide(bytes: Uint8Array, at: number): number {
  return Math.min(word(bytes, at) * 2 ** 32 + word(bytes, at + 4), Number.MAX_SAFE_INTEGER);
}
