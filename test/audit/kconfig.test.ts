// Goal: code that no configuration builds is called dead, and nothing else is. Method: small trees of
// Kconfig files and Makefiles, whole (with arch/) and partial, asked file by file.
import { deepEqual, equal, match } from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { buildFacts } from "../../src/audit/build.ts";
import { architecturesOf } from "../../src/audit/buildable.ts";
import { readKconfig } from "../../src/audit/kconfig.ts";
import { canHold, conditionText, holdsWith, parseCondition } from "../../src/audit/kconfig-expr.ts";
import { readMakefile } from "../../src/audit/makefile.ts";
import { auditOf } from "./sources.ts";

const TREE: Readonly<Record<string, string>> = {
  Kconfig: 'source "arch/$(SRCARCH)/Kconfig"\nsource "drivers/Kconfig"\n',
  "arch/x86/Kconfig": `config X86
	def_bool y
config ISA
	bool "ISA"
	depends on X86_32
config X86_32
	def_bool !64BIT
config 64BIT
	bool "64 bit"
config CC_IS_NEW
	def_bool $(success,test)
`,
  "arch/s390/Kconfig": "config S390\n\tdef_bool y\nconfig 64BIT\n\tdef_bool y\n",
  "arch/s390/Makefile": "drivers-y += drivers/chan/\n",
  "drivers/Kconfig": `menu "Drivers"
config BROKEN
	bool
	help
	  config NOT_A_SYMBOL
	  depends on nothing

	  bool "text"
config OLD
	tristate "old"
	depends on BROKEN
config GONE
	bool "gone"
	depends on NOWHERE_DEFINED
config CARD
	tristate "card" if !EXPERT
	depends on ISA && !S390
config BOTH
	bool "both"
	depends on X86 && S390
config PICKED
	bool
config PICKER
	bool "picker"
	depends on X86
	select PICKED if 64BIT
config NEWER
	bool "newer"
	depends on !CC_IS_NEW
if S390
config INSIDE
	bool "inside"
endif
config PC
	bool "pc"
	depends on X86
endmenu
`,
  "drivers/Makefile": `obj-y += misc/
obj-$(CONFIG_PC)	+= pc/ \\
			   single.o
`,
  "drivers/misc/Makefile": `obj-$(CONFIG_OLD) += old.o
obj-$(CONFIG_GONE) += gone.o
obj-$(CONFIG_CARD) += card.o
obj-$(CONFIG_BOTH) += both.o
obj-$(CONFIG_PICKED) += picked.o
obj-$(CONFIG_NEWER) += newer.o
obj-$(CONFIG_INSIDE) += inside.o
obj-$(CONFIG_PC) += whole.o
whole-y := part.o
whole-$(CONFIG_BOTH) += seldom.o
whole-objs += plain.o sub/below.o
ifdef CONFIG_S390
obj-y += guarded.o
endif
`,
  "drivers/pc/Makefile": "obj-y += deep.o\n",
  "drivers/chan/Makefile": "obj-y += css.o\n",
};

function facts(tree: Readonly<Record<string, string>>, names: readonly string[]) {
  const read = (path: string): string | null => tree[path] ?? null;
  return buildFacts({ architectures: architecturesOf(names, read), read, config: null });
}

describe("a tree's files", () => {
  const factOf = facts(TREE, ["s390", "x86"]);
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ["drivers/misc/old.c", []],
    ["drivers/misc/gone.c", []],
    ["drivers/misc/both.c", []],
    ["drivers/misc/seldom.c", []],
    ["drivers/misc/card.c", ["x86"]],
    ["drivers/misc/picked.c", ["x86"]],
    ["drivers/misc/newer.c", ["x86", "s390"].sort()],
    ["drivers/misc/inside.c", ["s390"]],
    ["drivers/misc/part.c", ["x86"]],
    ["drivers/misc/plain.c", ["x86"]],
    ["drivers/misc/sub/below.c", ["x86"]],
    ["drivers/misc/guarded.c", ["s390"]],
    ["drivers/pc/deep.c", ["x86"]],
    ["drivers/single.c", ["x86"]],
    ["drivers/chan/css.c", ["s390"]],
  ];
  for (const [path, architectures] of cases) {
    test(`${path} is built on ${architectures.join(", ") || "nothing"}`, () => {
      deepEqual([...(factOf(path)?.architectures ?? ["?"])].sort(), architectures);
    });
  }

  test("a file that no Makefile names is not judged", () => {
    equal(factOf("drivers/misc/unnamed.c"), null);
    equal(factOf("elsewhere/x.c"), null);
  });

  test("only what needs ISA needs ISA", () => {
    deepEqual(
      ["card", "part", "old"].map((name) => factOf(`drivers/misc/${name}.c`)?.needsIsa),
      [true, false, false],
    );
  });

  test("the reason names the symbol", () => {
    match(factOf("drivers/misc/old.c")?.deadBecause ?? "", /CONFIG_OLD/);
  });

  test("a .config says what is built", () => {
    const read = (path: string): string | null => TREE[path] ?? null;
    const config = new Map([["PC", "y"]]);
    const built = buildFacts({ architectures: architecturesOf(["x86"], read), read, config });
    equal(built("drivers/misc/part.c")?.isBuilt, true);
    equal(built("drivers/misc/card.c")?.isBuilt, false);
  });
});

test("a part of a tree: what it does not define may be elsewhere, but BROKEN is off", () => {
  const part = {
    Kconfig: 'config A\n\tbool "a"\n\tdepends on PCI\nconfig B\n\tbool "b"\n\tdepends on BROKEN\n',
    Makefile: "obj-$(CONFIG_A) += a.o\nobj-$(CONFIG_B) += b.o\n",
  };
  const factOf = facts(part, []);
  deepEqual(factOf("a.c")?.architectures, ["any"]);
  deepEqual(factOf("b.c")?.architectures, []);
  const source = "void f(void)\n{\n\tp = kmalloc(8, GFP_DMA);\n}\n";
  const uses = auditOf({ "a.c": source, "b.c": source }, [], factOf);
  deepEqual(
    uses.map(({ file, verdict }) => [file, verdict]),
    [
      ["a.c", "replaceable (misuse)"],
      ["b.c", "dead"],
    ],
  );
});

describe("conditions", () => {
  test("bind as C's do", () => {
    equal(conditionText(parseCondition("A && !(B || C) || D = y")), "A && !(B || C) || D = y");
    equal(conditionText(parseCondition("!A && B")), "!A && B");
  });

  test("nothing that a configuration satisfies is called impossible", () => {
    const names = ["A", "B", "C"];
    const leaf = fc.constantFrom(...names, "!A", "!C", "B = n", "A != y", "y", "n");
    const condition = fc.letrec<{ one: string }>((tie) => ({
      one: fc.oneof(
        { depthSize: "small" },
        leaf,
        fc
          .tuple(tie("one"), fc.constantFrom("&&", "||"), tie("one"))
          .map((parts) => `(${parts.join(" ")})`),
        tie("one").map((inner) => `!(${inner})`),
      ),
    })).one;
    fc.assert(
      fc.property(condition, fc.subarray(names), (text, on) => {
        const parsed = parseCondition(text);
        const values = new Map(on.map((name) => [name, "y"]));
        const possible = {
          on: (name: string) => on.includes(name),
          always: (name: string) => on.includes(name),
        };
        if (holdsWith(parsed, values)) equal(canHold(parsed, possible), true, text);
        else equal(canHold(parsed, possible, false), true, text);
      }),
      { numRuns: 500 },
    );
  });

  test("any text is read", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 300 }), (text) => {
        parseCondition(text);
        readKconfig(text);
        readMakefile(text);
      }),
    );
  });
});
