// Goal: an audit of folders reads what it must and no more: a second run reads nothing, a change is
// seen, a touched file is read and not parsed, answers lie in headers outside of what was given, and
// workers give what one thread gives. Method: small kernel trees in a folder of their own.
import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import type { Use } from "../../src/audit/index.ts";
import { auditTree, patchTree } from "../../src/host/audit.ts";
import { cacheFolder, listSources, treeRoot } from "../../src/host/audit-files.ts";
import { scratch } from "../cli/run.ts";

const USER = "void f(void)\n{\n\tp = kmalloc(8, GFP_KERNEL | GFP_DMA);\n}\n";
const TREE: Readonly<Record<string, string>> = {
  Kconfig:
    'source "arch/$(SRCARCH)/Kconfig"\nconfig CARD\n\tbool "card"\nconfig OLD\n\tbool "old"\n\tdepends on BROKEN\n',
  Makefile: "",
  "arch/x86/Kconfig": "config X86\n\tdef_bool y\n",
  "include/linux/chip.h": "#include <linux/bits-of-chip.h>\n#define OTHER GFP_DMA\n",
  "include/linux/bits-of-chip.h": "#define CHIP_BITS 27\n",
  "drivers/Makefile": "obj-$(CONFIG_CARD) += card/\nobj-$(CONFIG_OLD) += old.o\n",
  "drivers/card/Makefile": "obj-y += card.o plain.o\n",
  "drivers/card/card.c":
    "#include <linux/chip.h>\nint probe(struct x *x)\n{\n\treturn dma_set_mask(x, DMA_BIT_MASK(CHIP_BITS));\n}\n",
  "drivers/card/plain.c": "int a;\n",
  "drivers/card/notes.txt": "GFP_DMA\n",
  "drivers/old.c": USER,
};
const OPTIONS = { useCache: false, config: null, progress: () => undefined };

/** Files older than any doubt, so that the cache may trust their times. */
function write(root: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    const full = join(root, path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, text);
    utimesSync(full, 1_700_000_000, 1_700_000_000);
  }
}

/** Runs with a cache folder of its own. */
async function cached(folder: string, given: string, now = Date.now() + 60_000) {
  const before = process.env["XDG_CACHE_HOME"];
  process.env["XDG_CACHE_HOME"] = folder;
  try {
    return await auditTree([given], { ...OPTIONS, useCache: true, now });
  } finally {
    if (before === undefined) delete process.env["XDG_CACHE_HOME"];
    else process.env["XDG_CACHE_HOME"] = before;
  }
}

function listCache(folder: string): string[] {
  const path = join(folder, "zonewright/audit");
  return existsSync(path) ? readdirSync(path).map((name) => join(path, name)) : [];
}

describe("a kernel tree", () => {
  test("gives names from its root, verdicts by its Kconfig, masks from its headers", async (t) => {
    const root = scratch(t);
    write(root, TREE);
    const result = await auditTree([join(root, "drivers")], OPTIONS);
    equal(result.root, root);
    deepEqual(
      result.uses.map(({ file, flag, verdict, bits }) => [file, flag, verdict, bits]),
      [
        ["drivers/card/card.c", "dma_set_mask", "legitimate", [27]],
        ["drivers/old.c", "GFP_DMA", "dead", []],
      ],
    );
    deepEqual([result.files, result.parsed], [3, 2]);
  });

  test("a single file is of its tree too", async (t) => {
    const root = scratch(t);
    write(root, TREE);
    const result = await auditTree([join(root, "drivers/old.c")], OPTIONS);
    deepEqual(
      result.uses.map(({ file, config }) => [file, config]),
      [["drivers/old.c", "OLD"]],
    );
  });
});

describe("the cache", () => {
  test("a second run reads nothing and says the same; a change is read, and only that", async (t) => {
    const [root, folder] = [scratch(t), scratch(t)];
    write(root, TREE);
    const first = await cached(folder, root);
    ok(first.read >= 3);
    const second = await cached(folder, root);
    equal(second.read, 0);
    deepEqual(second.uses, first.uses);
    write(root, { "drivers/old.c": `\n${USER}` });
    const third = await cached(folder, root);
    equal(third.read, 1);
    equal(third.uses.find(({ file }) => file === "drivers/old.c")?.line, 4);
  });

  test("a file that changed just now is not trusted by its time", async (t) => {
    const [root, folder] = [scratch(t), scratch(t)];
    write(root, TREE);
    const now = Date.now();
    await cached(folder, root, now);
    ok((await cached(folder, root, now)).read > 0);
  });

  test("a torn or foreign cache is as good as none", async (t) => {
    const [root, folder] = [scratch(t), scratch(t)];
    write(root, TREE);
    const first = await cached(folder, root);
    for (const text of ["", "{", '{"program":"x","hashes":[],"facts":[]}', "[1]", '"x"']) {
      const [name = ""] = listCache(folder);
      writeFileSync(name, text);
      deepEqual((await cached(folder, root)).uses, first.uses);
    }
  });

  test("--no-cache writes none", async (t) => {
    const [root, folder] = [scratch(t), scratch(t)];
    write(root, TREE);
    await auditTree([root], OPTIONS);
    deepEqual(listCache(folder), []);
  });

  test("is in the user's cache folder", () => {
    equal(cacheFolder({ XDG_CACHE_HOME: "/c" }), "/c/zonewright/audit");
    equal(cacheFolder({ XDG_CACHE_HOME: "relative", HOME: "/h" }), "/h/.cache/zonewright/audit");
    equal(cacheFolder({}), null);
  });
});

test("workers say what one thread says", async (t) => {
  const root = scratch(t);
  const files: Record<string, string> = {};
  for (let i = 0; i < 120; i++) files[`d${i % 7}/f${i}.c`] = USER.repeat(1 + (i % 3));
  write(root, files);
  let last = 0;
  const progress = (done: number, all: number): void => {
    last = done;
    ok(done <= all);
  };
  const many = await auditTree([root], { ...OPTIONS, progress });
  equal(last, 120);
  const single: Use[] = [];
  for (let i = 0; i < 7; i++) {
    single.push(...(await auditTree([join(root, `d${i}`)], OPTIONS)).uses);
  }
  deepEqual(many.uses.length, single.length);
  deepEqual(
    many.uses.map(({ line, verdict }) => [line, verdict]),
    single.map(({ line, verdict }) => [line, verdict]),
  );
});

describe("what is given", () => {
  test("that is not there is an error with a mend", async () => {
    await rejects(() => auditTree(["/no/such/folder"], OPTIONS), /no such file or folder/);
  });

  test("links are not followed, hidden folders and other files not read", (t) => {
    const root = scratch(t);
    write(root, { "a.c": "", "b.h": "", ".git/c.c": "", "d.txt": "", "e/f.c": "" });
    symlinkSync(root, join(root, "e/loop"));
    deepEqual(
      listSources([root], root).map(({ name }) => name),
      ["a.c", "b.h", "e/f.c"],
    );
    equal(treeRoot([root]), null);
  });

  test("twice the same is audited once", async (t) => {
    const root = scratch(t);
    write(root, { "a.c": USER });
    const { uses } = await auditTree([root, join(root, "a.c")], OPTIONS);
    equal(uses.length, 1);
  });
});

test("a patch keeps every byte that is UTF-8, and leaves other files alone", async (t) => {
  const root = scratch(t);
  write(root, { "a.c": `/* ä */\n${USER}` });
  writeFileSync(join(root, "b.c"), Buffer.from(`/* \xff */\n${USER}`, "latin1"));
  const patch = patchTree(await auditTree([root], OPTIONS));
  match(patch, / \/\* ä \*\/\n/);
  ok(!patch.includes("b.c"));
  ok(readFileSync(join(root, "a.c"), "utf8").includes("GFP_DMA"), "nothing is written");
});
