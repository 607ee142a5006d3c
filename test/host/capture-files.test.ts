// A capture is the same whether it lies in a folder or in an archive of any packing, above a
// common folder or not, and what is skipped is never opened. Each form is made from one capture of
// the corpus and read back; this machine is read too, as far as it is Linux.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { gunzipSync, gzipSync, zstdCompressSync } from "node:zlib";
import { type CaptureFiles, readCapture } from "../../src/formats/capture.ts";
import { fdtText } from "../../src/formats/fdt-text.ts";
import { openUnpacked, packingOf, readWhole, unpackWhole } from "../../src/host/bytes.ts";
import { isLinux, liveCapture, openCaptureFiles, openMachine } from "../../src/host/index.ts";
import { corpusFiles } from "../support/corpus.ts";
import { blob, node } from "../support/fdt-writer.ts";

const NAME = "x86_64-6.1-1G-smp2";
const PACKED = new URL(`../../corpus/layouts/${NAME}.tar.gz`, import.meta.url);
let base = "";
before(() => {
  base = mkdtempSync(join(tmpdir(), "zonewright-"));
});
after(() => rmSync(base, { recursive: true, force: true }));

async function opened(path: string): Promise<CaptureFiles> {
  const { value, issues } = await openCaptureFiles(path);
  assert.ok(value !== null, JSON.stringify(issues));
  return value;
}

async function textOf(files: CaptureFiles, path: string): Promise<string> {
  let text = "";
  for await (const chunk of files.open(path)) text += chunk;
  return text;
}

function unpackTo(folder: string, suffix = ""): string {
  for (const [path, text] of corpusFiles(NAME)) {
    const place = join(folder, path + suffix);
    mkdirSync(dirname(place), { recursive: true });
    writeFileSync(place, suffix === ".gz" ? gzipSync(text) : text);
  }
  return folder;
}

/** The tar entry of an empty file. */
function emptyEntry(path: string): Buffer {
  const head = Buffer.alloc(512);
  head.write(path, 0);
  head.write(
    ["0000644", "0000000", "0000000", "00000000000", "00000000000", "        0"].join("\0"),
    100,
  );
  head.write("ustar\u000000", 257);
  const sum = head.reduce((total, byte) => total + byte, 0);
  head.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return head;
}

describe("forms of one capture", () => {
  test("folder, folder of packed files, tar, tar.gz, tar.zst give the same files", async () => {
    const tar = gunzipSync(readFileSync(PACKED));
    const write = (name: string, bytes: Uint8Array): string => {
      writeFileSync(join(base, name), bytes);
      return join(base, name);
    };
    const forms = [
      unpackTo(join(base, "plain")),
      unpackTo(join(base, "packed"), ".gz"),
      write("a.tar", tar),
      write("b.tar.gz", gzipSync(tar)),
      write("c.tar.zst", zstdCompressSync(tar)),
      write("no-suffix", gzipSync(tar)),
    ];
    const wanted = corpusFiles(NAME);
    for (const form of forms) {
      const files = await opened(form);
      assert.deepEqual([...files.paths].sort(), [...wanted.keys()].sort(), form);
      for (const path of ["zoneinfo", "dmesg", "vm/min_free_kbytes"]) {
        assert.equal(await textOf(files, path), wanted.get(path), `${form} ${path}`);
      }
    }
  });

  test("an archive or folder of several captures names them", async () => {
    const several = join(base, "several");
    for (const name of ["b", "deep/a"]) unpackTo(join(several, name));
    mkdirSync(join(several, "c/proc"), { recursive: true });
    writeFileSync(join(several, "c/proc/zoneinfo"), "");
    const parts = ["b", "deep/a", "c"].flatMap((name) =>
      name === "c" ? ["c/proc/zoneinfo"] : [...corpusFiles(NAME).keys()].map((f) => `${name}/${f}`),
    );
    const archive = join(base, "several.tar");
    writeFileSync(archive, Buffer.concat([...parts.map(emptyEntry), Buffer.alloc(1024)]));
    for (const place of [several, archive]) {
      const { value, issues } = await openCaptureFiles(place);
      assert.equal(value, null);
      assert.deepEqual(
        issues.map(({ severity, message }) => `${severity}: ${message}`),
        ["error: it holds 3 captures: b, c, deep/a"],
      );
    }
    const many = Array.from({ length: 11 }, (_, i) => emptyEntry(`all/${10 + i}/dmesg`));
    writeFileSync(archive, Buffer.concat([...many, Buffer.alloc(1024)]));
    const [issue] = (await openCaptureFiles(archive)).issues;
    const named = "10, 11, 12, 13, 14, 15, 16, 17 and 3 more";
    assert.equal(issue?.message, `it holds 11 captures: ${named}`);
    // The nodes of one capture are no captures.
    const nodes = ["node/node0/meminfo", "node/node1/meminfo"].map(emptyEntry);
    writeFileSync(archive, Buffer.concat([...nodes, Buffer.alloc(1024)]));
    const [none] = (await openCaptureFiles(archive)).issues;
    assert.equal(none?.message, "no file of a capture is in it");
  });

  test("what is skipped is not listed and cannot be opened", async () => {
    const skip = (path: string): boolean => path.endsWith("zoneinfo");
    for (const path of [unpackTo(join(base, "skipped")), join(base, "b.tar.gz")]) {
      const { value } = await openCaptureFiles(path, { skip });
      assert.ok(value !== null && value.paths.length > 10);
      assert.ok(!value.paths.some(skip));
    }
  });

  test("a file that holds no text is left out with its name and reason", async () => {
    const folder = unpackTo(join(base, "binary"));
    writeFileSync(join(folder, "dmesg"), Uint8Array.of(0, 1, 2, 3));
    const { value, issues } = await openCaptureFiles(folder);
    assert.ok(value !== null && !value.paths.includes("dmesg"));
    assert.match(issues[0]?.source ?? "", /dmesg$/);
    assert.match(issues[0]?.message ?? "", /binary/);
  });

  test("bytes that are not UTF-8 do not stop it", async () => {
    const folder = unpackTo(join(base, "latin"));
    writeFileSync(join(folder, "cmdline"), Uint8Array.of(0x71, 0xff, 0xc3, 0x0a));
    assert.equal(await textOf(await opened(folder), "cmdline"), "q\ufffd\ufffd\n");
  });
});

describe("limits", () => {
  test("unpacking stops at the limit, not after it", async () => {
    const path = join(base, "bomb.gz");
    writeFileSync(path, gzipSync(new Uint8Array(8 * 1024 ** 2)));
    let seen = 0;
    await assert.rejects(async () => {
      for await (const chunk of openUnpacked(path, 1024 ** 2)) seen += chunk.length;
    }, /more than 1 MiB/);
    assert.ok(seen <= 1024 ** 2);
    await assert.rejects(() => readWhole(path, 1024), /unpacks to more/);
    await assert.rejects(() => unpackWhole(readFileSync(path), 1024), /unpacks to more/);
  });

  test("packing is known by content", () => {
    assert.equal(packingOf(gzipSync("x")), "gzip");
    assert.equal(packingOf(zstdCompressSync("x")), "zstd");
    assert.equal(packingOf(Uint8Array.of(1)), "none");
  });
});

test("standard input holds an archive or a description", async () => {
  const archive = await openMachine("-", () => chunks(readFileSync(PACKED)));
  assert.equal(archive.value?.kind, "capture");
  const yaml = "arch: arm64\nkernel: 6.1\nram: 1G\n";
  const description = await openMachine("-", () => chunks(gzipSync(yaml)));
  assert.equal(description.value?.kind, "description");
});

async function* chunks(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for await (const byte of [bytes.subarray(0, 1), bytes.subarray(1)]) yield byte;
}

test("this machine is a capture, and what is missing says why", async (t) => {
  if (!(await isLinux())) return t.skip("not Linux");
  const { files, sources } = await liveCapture();
  const missing = sources.filter((source) => source.missing !== null);
  for (const source of sources) {
    assert.equal(files.paths.includes(source.path), source.missing === null, source.path);
  }
  for (const source of missing) assert.match(source.missing ?? "", /\w/);
  const { value } = await readCapture(files);
  assert.ok(value.version !== null);
  assert.ok(value.iomem === null || !value.iomem.redacted, "addresses of zeros were used");
});

test("a devicetree blob in a folder or an archive is read, as bytes or in hexadecimal", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "zonewright-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const bytes = blob(node("", { compatible: "example,board" }, node("memory@0", { reg: [0, 1] })));
  mkdirSync(join(folder, "board"));
  const trees: unknown[] = [];
  for (const contents of [bytes, [...fdtText(bytes)].join("")]) {
    writeFileSync(join(folder, "board/fdt"), contents);
    execFileSync("tar", ["-czf", join(folder, "board.tar.gz"), "-C", folder, "board"]);
    for (const path of ["board", "board.tar.gz"]) {
      const { value, issues } = await openCaptureFiles(join(folder, path));
      assert.deepEqual(issues, []);
      assert.ok(value !== null);
      const { devicetree } = (await readCapture(value)).value;
      trees.push(devicetree?.root.children.map(({ name }) => name));
    }
  }
  assert.deepEqual(trees, Array(4).fill(["memory@0"]));
});
