// Goal: a mask's width is found wherever it is written: in the call, a variable, a field, a table
// of chips, a macro, an enum, an argument, a return value. Method: synthetic sources, one way each.
import { deepEqual, equal, match } from "node:assert/strict";
import { describe, test } from "node:test";
import { auditOf } from "./sources.ts";

const set = (mask: string): string =>
  `int probe(struct x *x)\n{\n\treturn dma_set_mask_and_coherent(x->dev, ${mask});\n}\n`;

function bitsOf(text: string): (readonly number[])[] {
  return auditOf({ "drivers/x/x.c": text })
    .filter(({ flag }) => flag.startsWith("dma_set"))
    .map(({ bits }) => bits);
}

describe("the width of a mask", () => {
  const cases: readonly (readonly [string, string, readonly number[]])[] = [
    ["written", set("DMA_BIT_MASK(24)"), [24]],
    ["as a number", set("0x3fffffffULL"), [30]],
    ["as an old name", set("DMA_30BIT_MASK"), [30]],
    ["computed", set("DMA_BIT_MASK(8 * 3 + 4)"), [28]],
    ["shifted", set("(1ULL << 28) - 1"), [28]],
    ["one of two", set("x->big ? DMA_BIT_MASK(40) : DMA_BIT_MASK(31)"), [31, 40]],
    ["a macro", `#define CHIP_MASK DMA_BIT_MASK(29)\n${set("CHIP_MASK")}`, [29]],
    ["a macro's number", `#define CHIP_WIDTH 27\n${set("DMA_BIT_MASK(CHIP_WIDTH)")}`, [27]],
    ["an enum", `enum { CHIP_WIDTH = 26 };\n${set("DMA_BIT_MASK(CHIP_WIDTH)")}`, [26]],
    ["by word size", set("DMA_BIT_MASK(sizeof(u32) * 8)"), [32]],
    [
      "a variable",
      `int probe(struct x *x)
{
	u64 mask = DMA_BIT_MASK(64);
	if (x->old)
		mask = DMA_BIT_MASK(25);
	return dma_set_mask(x->dev, mask);
}
`,
      [25, 64],
    ],
    [
      "a field",
      `void detect(struct x *x)\n{\n\tx->limit = DMA_BIT_MASK(30);\n}\n${set("x->limit")}`,
      [30],
    ],
    [
      "a table by name",
      `static struct chip chips[] = { { .dma_bits = 24 }, { .dma_bits = 36 } };\n${set("DMA_BIT_MASK(x->chip->dma_bits)")}`,
      [24, 36],
    ],
    [
      "a table by place",
      `struct chip { char *name; int bits; };
static const struct chip chips[] = { { "a", 28 }, { "b", 32 }, };
${set("DMA_BIT_MASK(x->chip->bits)")}`,
      [28, 32],
    ],
    [
      "an argument",
      `static int set(struct x *x, u64 mask)
{
	return dma_set_mask(x->dev, mask);
}
int probe(struct x *x)
{
	return set(x, DMA_BIT_MASK(31));
}
`,
      [31],
    ],
    [
      "a return value",
      `static u64 limit(struct x *x)
{
	if (x->old)
		return DMA_BIT_MASK(24);
	return 0xffffffff;
}
${set("limit(x)")}`,
      [24, 32],
    ],
    ["a global", `static u64 module_mask = DMA_BIT_MASK(31);\n${set("module_mask")}`, [31]],
  ];
  for (const [name, text, bits] of cases) {
    test(name, () => deepEqual(bitsOf(text), [bits]));
  }

  test("64 bits leave nothing out: no use", () => {
    deepEqual(bitsOf(set("DMA_BIT_MASK(64)")), []);
    deepEqual(bitsOf(set("~0ULL")), []);
    deepEqual(bitsOf(set("(u64)-1")), []);
  });

  test("what is not written is said to be unknown", () => {
    const [use] = auditOf({ "drivers/x/x.c": set("read_width(x)") });
    deepEqual([use?.category, use?.verdict, use?.bits], ["mask-unknown", "review", []]);
  });

  test("a shift that cannot be, and a loop of names, end", () => {
    deepEqual(bitsOf(set("1ULL << 999")), [[]]);
    deepEqual(bitsOf(`#define A B\n#define B A\n${set("A")}`), [[]]);
  });
});

test("a mask in another file of the folder, in a header, through a caller", () => {
  const files = {
    "drivers/x/chip.h": "#define CHIP_WIDTH 27\n",
    "drivers/x/core.c": `int core_set(struct x *x, int n)
{
	dma_set_mask(x->dev, DMA_BIT_MASK(n));
	dma_set_coherent_mask(x->dev, x->info->limit);
	return pci_set_dma_mask(x->pci, DMA_BIT_MASK(CHIP_WIDTH));
}
`,
    "drivers/x/pci.c": `static struct info infos[] = { { .limit = DMA_BIT_MASK(26) } };
int probe(struct x *x)
{
	return core_set(x, 30);
}
`,
  };
  const wanted = ["a:core_set:1", "f:limit", "m:CHIP_WIDTH"];
  const masks = auditOf(files, wanted).filter(({ flag }) => flag.includes("set_"));
  deepEqual(
    masks.map(({ flag, bits }) => [flag, bits]),
    [
      ["dma_set_mask", [30]],
      ["dma_set_coherent_mask", [26]],
      ["pci_set_dma_mask", [27]],
    ],
  );
  match(masks[0]?.why ?? "", /drivers\/x\/pci\.c:4/);
  match(masks[2]?.fix ?? "", /dma_set_mask\(\)/);
});

test("fields of devices and their tables", () => {
  const text = `static u64 mask = DMA_BIT_MASK(32);
static struct platform_device d = {
	.dev = { .dma_mask = &mask, .coherent_dma_mask = DMA_BIT_MASK(24) },
};
void f(struct device *dev)
{
	*dev->dma_mask = DMA_BIT_MASK(31);
	dev->coherent_dma_mask = dev->parent->coherent_dma_mask;
}
`;
  const uses = auditOf({ "arch/x/board.c": text });
  deepEqual(
    uses.map(({ line, flag, bits }) => [line, flag, bits[0]]),
    [
      [3, "dma_mask", 32],
      [3, "coherent_dma_mask", 24],
      [7, "dma_mask", 31],
      [8, "coherent_dma_mask", 24],
    ],
  );
  equal(
    uses.every(({ verdict }) => verdict === "legitimate"),
    true,
  );
});
