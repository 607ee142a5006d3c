// Flattened devicetrees made up for tests: what `dtc` would make of the same nodes, without dtc.

/** Cells, a text, a list of texts, or true for a property without value. */
export type Value = readonly number[] | string | readonly string[] | true;

export interface Node {
  readonly name: string;
  readonly properties: Readonly<Record<string, Value>>;
  readonly children: readonly Node[];
}

export function node(
  name: string,
  properties: Readonly<Record<string, Value>>,
  ...children: Node[]
): Node {
  return { name, properties, children };
}

/** Cells of a 64-bit number. */
export function wide(value: number): [number, number] {
  return [Math.floor(value / 2 ** 32), value % 2 ** 32];
}

export interface BlobOptions {
  /** Address and size of each. */
  readonly reservations?: readonly (readonly [number, number])[];
  readonly version?: number;
  /** Bytes after the end, as firmware leaves them. */
  readonly padding?: number;
}

const ENCODER = new TextEncoder();

export function bytesOfValue(value: Value): Uint8Array {
  if (value === true) return new Uint8Array();
  if (typeof value === "string") return ENCODER.encode(`${value}\0`);
  const texts = value.filter((item) => typeof item === "string");
  if (texts.length > 0) return ENCODER.encode(texts.map((text) => `${text}\0`).join(""));
  return words(value.filter((item) => typeof item === "number"));
}

/** The blob of a tree. */
export function blob(root: Node, options: BlobOptions = {}): Uint8Array {
  const { reservations = [], version = 17, padding = 0 } = options;
  const strings = new Map<string, number>();
  let stringBytes = 0;
  const structure: Uint8Array[] = [];
  const add = (own: Node): void => {
    structure.push(words([1]), padded(ENCODER.encode(`${own.name}\0`)));
    for (const [name, value] of Object.entries(own.properties)) {
      const bytes = bytesOfValue(value);
      if (!strings.has(name)) {
        strings.set(name, stringBytes);
        stringBytes += name.length + 1;
      }
      structure.push(words([3, bytes.length, strings.get(name) ?? 0]), padded(bytes));
    }
    for (const child of own.children) add(child);
    structure.push(words([2]));
  };
  add(root);
  structure.push(words([9]));
  const tree = joined(structure);
  const list = joined(
    [...reservations, [0, 0] as const].map(([start, size]) =>
      words([...wide(start), ...wide(size)]),
    ),
  );
  const names = joined([...strings.keys()].map((name) => ENCODER.encode(`${name}\0`)));
  const at = 40 + list.length;
  const total = at + tree.length + names.length + padding;
  const compatible = Math.min(version, 16);
  const header = words([
    0xd00dfeed,
    total,
    at,
    at + tree.length,
    40,
    version,
    compatible,
    0,
    names.length,
    version >= 17 ? tree.length : 0,
  ]);
  return joined([header, list, tree, names, new Uint8Array(padding)]);
}

function words(list: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 * list.length);
  const view = new DataView(bytes.buffer);
  for (const [i, word] of list.entries()) view.setUint32(4 * i, word);
  return bytes;
}

function padded(bytes: Uint8Array): Uint8Array {
  const all = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
  all.set(bytes);
  return all;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
