// Goal: devicetree blobs are read as they were written, and what is no blob is refused with a place,
// never with an exception or a loop.
// Method: trees written by a writer of our own (property), every length at which a blob can be cut,
// random changes of real ones, and the text forms of captures.
import { deepEqual, equal, match, notEqual, ok } from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type FdtNode, readFdt } from "../../src/formats/fdt.ts";
import { fdtText, fdtTextReader } from "../../src/formats/fdt-text.ts";
import { readText } from "../../src/formats/reader.ts";
import { corpusFiles } from "../support/corpus.ts";
import { blob, bytesOfValue, type Node, node, type Value } from "../support/fdt-writer.ts";

interface Plain {
  readonly name: string;
  readonly properties: readonly (readonly [string, string])[];
  readonly children: readonly Plain[];
}

function plain({ name, properties, children }: FdtNode): Plain {
  return {
    name,
    properties: [...properties].map(([key, bytes]) => [key, Buffer.from(bytes).toString("hex")]),
    children: children.map(plain),
  };
}

function wanted({ name, properties, children }: Node): Plain {
  const own = Object.entries(properties);
  return {
    name,
    properties: own.map(([key, value]) => [key, Buffer.from(bytesOfValue(value)).toString("hex")]),
    children: children.map(wanted),
  };
}

const word = fc.nat({ max: 0xffffffff });
const value: fc.Arbitrary<Value> = fc.oneof(
  fc.array(word, { minLength: 1, maxLength: 6 }),
  fc.stringMatching(/^[a-z,]{1,20}$/),
  fc.constant(true as const),
);
// No name that JavaScript takes for an index: objects put those first.
const names = fc.stringMatching(/^[a-z#][a-z0-9,#@-]{0,30}$/);
const properties = fc.dictionary(names, value, { maxKeys: 5, noNullPrototype: true });
const leaf = fc.record({ name: names, properties, children: fc.constant<Node[]>([]) });
const trees: (depth?: number) => fc.Arbitrary<Node> = fc.memo((depth) => {
  if (depth <= 1) return leaf;
  return fc.record({
    name: names,
    properties,
    children: fc.array(trees(depth - 1), { maxLength: 3 }),
  });
});
const tree = trees(4);

const board = Buffer.from(
  (corpusFiles("arm64-6.1-6G-devicetree").get("fdt") ?? "").replace(/\s+/g, ""),
  "hex",
);

describe("whole blobs", () => {
  test("are read as they were written, in both versions and with any padding", () => {
    fc.assert(
      fc.property(tree, fc.constantFrom(16, 17), fc.nat({ max: 9 }), (root, version, padding) => {
        const { value, issues } = readFdt(blob(root, { version, padding }));
        deepEqual(issues, []);
        deepEqual(value === null ? null : plain(value.root), wanted(root));
      }),
    );
  });

  test("keep the list of reserved memory, large numbers clamped", () => {
    const root = node("", {});
    const reservations = [
      [0x50000000, 0x100000],
      [2 ** 52, 2 ** 53],
    ] as const;
    deepEqual(readFdt(blob(root, { reservations })).value?.reservations, [
      { start: 0x50000000, end: 0x50100000 },
      { start: 2 ** 52, end: Number.MAX_SAFE_INTEGER },
    ]);
  });

  test("of a real board: QEMU's virt with what the lab adds", () => {
    const { value, issues } = readFdt(board);
    deepEqual(issues, []);
    equal(value?.root.children.find(({ name }) => name === "reserved-memory")?.children.length, 6);
    deepEqual(value?.reservations, [{ start: 0x50000000, end: 0x50100000 }]);
    equal(value?.bytes, board.length);
  });
});

describe("damaged blobs", () => {
  test("are refused at every length that they can be cut to", () => {
    for (let length = 0; length < 4000; length += length < 200 ? 1 : 37) {
      const { value, issues } = readFdt(board.subarray(0, length));
      equal(value, null);
      equal(issues.at(-1)?.severity, "error");
    }
  });

  test("never make the reader throw, whatever is changed", () => {
    const change = fc.tuple(fc.nat({ max: board.length - 1 }), fc.nat({ max: 255 }));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 20 }), (changes) => {
        const own = Uint8Array.from(board);
        for (const [at, byte] of changes) own[at] = byte;
        const { value, issues } = readFdt(own);
        ok(value !== null || issues.some(({ severity }) => severity === "error"));
      }),
      { numRuns: 300 },
    );
  });

  test("of random bytes behind the magic are refused or empty", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        const { value } = readFdt(Uint8Array.from([0xd0, 0x0d, 0xfe, 0xed, ...bytes]));
        equal(value, null);
      }),
    );
  });

  const refused: readonly (readonly [string, (bytes: DataView) => void, RegExp])[] = [
    ["of a version to come", (v) => v.setUint32(24, 18), /version 17 \(compatible with 18\)/],
    ["of a version long gone", (v) => v.setUint32(20, 3), /version 3 /],
    ["that say they are longer", (v) => v.setUint32(4, 2 ** 31), /it is cut: \d+ of 2147483648/],
    ["whose structure is outside", (v) => v.setUint32(8, 2 ** 30), /structure block/],
    ["whose names are outside", (v) => v.setUint32(12, 2 ** 30), /strings block/],
    ["whose list is in the header", (v) => v.setUint32(16, 8), /reservation block/],
    ["without an end of the tree", (v) => v.setUint32(36, 8), /too long|no end/],
    ["with an unknown tag", (v) => v.setUint32(v.getUint32(8), 7), /no tag 7 \(offset \d+\)/],
    ["that end before they begin", (v) => v.setUint32(v.getUint32(8), 2), /has not begun/],
    ["with nothing in them", (v) => v.setUint32(v.getUint32(8), 9), /it has no node/],
  ];
  for (const [what, change, words] of refused) {
    test(what, () => {
      const bytes = blob(node("", { model: "x" }, node("a", { reg: [1] })));
      change(new DataView(bytes.buffer));
      const { value, issues } = readFdt(bytes);
      equal(value, null);
      match(issues.at(-1)?.message ?? "", words);
    });
  }

  test("too deep are refused, at the limit read", () => {
    const deep = (levels: number): Node => {
      return levels === 1 ? node("x", {}) : node("x", {}, deep(levels - 1));
    };
    notEqual(readFdt(blob(deep(64))).value, null);
    match(readFdt(blob(deep(65))).issues.at(-1)?.message ?? "", /more than 64 deep/);
  });
});

describe("as text", () => {
  test("hexadecimal of od gives the same tree", () => {
    const { value, issues } = readText(fdtTextReader(), [...fdtText(board)].join(""));
    deepEqual(issues, []);
    deepEqual(
      value === null ? null : plain(value.root),
      plain(readFdt(board).value?.root ?? fail()),
    );
  });

  test("a listing of properties gives the nodes that it names", () => {
    const text = [
      "/compatible: 61 00",
      "/memory@0/reg: 00 00 00 00 3b 40 00 00",
      "/memory@0/device_type: 6d 65 6d 6f 72 79 00",
      "/reserved-memory/linux,cma/reusable:",
      "/soc/dma-ranges:c0000000",
    ].join("\n");
    const { value, issues } = readText(fdtTextReader(), `${text}\n`);
    deepEqual(issues, []);
    deepEqual(
      value?.root.children.map(({ name }) => name),
      ["memory@0", "reserved-memory", "soc"],
    );
    const soc = value?.root.children[2];
    deepEqual([...(soc?.properties.get("dma-ranges") ?? [])], [0xc0, 0, 0, 0]);
    equal(value?.root.children[1]?.children[0]?.properties.get("reusable")?.length, 0);
  });

  test("what is neither is reported with its line, and gives no tree", () => {
    const { value, issues } = readText(fdtTextReader(), "hello\n");
    equal(value, null);
    deepEqual(
      issues.map(({ line }) => line),
      [1],
    );
  });

  test("any text is survived", () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.string(), fc.constantFrom("/a/b:00", "d0 0d fe ed"))),
        (lines) => {
          readText(fdtTextReader(), lines.join("\n"));
        },
      ),
    );
  });
});

function fail(): never {
  throw new TypeError("the real board is not read");
}
