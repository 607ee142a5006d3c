// Goal: no count is called exact when the log lost a piece that was freed late. Method: logs of each build
// and architecture cut at every such line, or without one of them, keep the truth within bounds and name
// what is missing; then what a boot does not free, and worked numbers of what may be lost.
import assert from "node:assert/strict";
import { test } from "node:test";
import { managedFromLog } from "../../src/boot/managed.ts";
import { pagesOfLost, piecesLost } from "../../src/boot/managed-lost.ts";
import type { BootLog } from "../../src/formats/boot-log.ts";
import { anyBoot, type Boot, checkOrder, truthOf, withoutMemblock } from "./managed-boots.ts";

const OF_EACH_BUILD: readonly string[] = [
  "x86_64-5.10-4G",
  "x86_64-6.1-6G-movablecore1G",
  "x86_64-6.12-4G",
  "i386pae-6.1-2G",
  "arm64-6.1-4G",
  "arm-6.1-1G",
];

/** Takes both kinds of a log of which something was lost, and says what the issues were. */
function checkLost(boot: Boot, freed: BootLog["freed"], where: string): string[] {
  let told: string[] = [];
  for (const log of [{ ...boot.log, freed }, withoutMemblock({ ...boot.log, freed })]) {
    const { value, issues } = managedFromLog(log, boot.layout, boot.hardware, boot.policy);
    told = issues.map(({ message }) => message);
    assert.ok(value !== null, where);
    checkOrder(value, boot.layout, where);
    truthOf(boot).forEach((pages, slot) => {
      const { low, high } = value.zones[slot] ?? { low: 1, high: 0 };
      assert.ok(low <= pages && pages <= high, `${where}: ${low} <= ${pages} <= ${high}`);
    });
    assert.ok(!value.zones.every(({ exact }) => exact), where);
    assert.ok(
      told.some((message) => message.includes("was cut")),
      where,
    );
  }
  return told;
}

test("a log that was cut anywhere before the last piece was freed gives bounds, not exact counts", () => {
  for (const name of OF_EACH_BUILD) {
    const boot = anyBoot(new RegExp(`^${name}$`));
    const { freed } = boot.log;
    const last = freed.findLastIndex(({ what }) => what.startsWith("unused kernel"));
    for (let kept = 0; kept <= last; kept++) {
      checkLost(boot, freed.slice(0, kept), `${name}, ${kept} of ${freed.length}`);
    }
    const cut: BootLog = { ...boot.log, memory: null, freed: [] };
    const { value, issues } = managedFromLog(cut, boot.layout, boot.hardware, boot.policy);
    assert.equal(value, null);
    assert.equal(issues.length, 1);
  }
});

test("one line of the last ones is lost in the middle of a log: it is named", () => {
  const lines = /^(?:initrd|unused kernel(?: image.*)?)$/;
  const lost = OF_EACH_BUILD.flatMap((name) => {
    const boot = anyBoot(new RegExp(`^${name}$`));
    const named = boot.log.freed.filter(({ what }) => lines.test(what));
    return named.flatMap((gone) => {
      // Only x86 says that there was an initrd to free.
      if (gone.what === "initrd" && name.startsWith("arm")) return [];
      const freed = boot.log.freed.filter((one) => one !== gone);
      const told = checkLost(boot, freed, `${name} without ${gone.what}`);
      const piece = /initrd|init|[a-z/]+ gap/.exec(gone.what)?.[0] ?? "init";
      assert.ok(
        told.some((message) => message.includes(piece)),
        told.join(),
      );
      return [`${name.split("-")[0]} ${piece}`];
    });
  });
  // 6.12 has no text/rodata gap.
  assert.equal(lost.filter((one) => one === "x86_64 text/rodata gap").length, 2);
  assert.equal(lost.filter((one) => one === "x86_64 rodata/data gap").length, 3);
  assert.equal(lost.length, 3 + 2 + 3 + 3 + 2 + 2);
});

test("what a boot does not free is not missed", () => {
  const boot = anyBoot();
  const freed = boot.log.freed.filter(({ what }) => !what.endsWith("gap)"));
  const lostOf = (change: Partial<BootLog>, arch = boot.hardware.arch): string[] =>
    piecesLost({ ...boot.log, ...change }, arch).map(({ what }) => what);
  const gaps = ["text/rodata gap", "rodata/data gap"];
  const line = boot.log.commandLine ?? "";
  assert.deepEqual(lostOf({}), []);
  assert.deepEqual(lostOf({ freed }), gaps);
  assert.deepEqual(lostOf({ freed, commandLine: `${line} rodata=off` }), []);
  assert.deepEqual(lostOf({ freed, commandLine: `${line} rodata=on` }), gaps);
  assert.deepEqual(lostOf({ freed }, "i386"), []);
  const noInitrd = boot.log.freed.filter(({ what }) => what !== "initrd");
  assert.deepEqual(lostOf({ freed: noInitrd }), ["initrd"]);
  assert.deepEqual(lostOf({ freed: noInitrd, commandLine: "retain_initrd" }), []);
  assert.deepEqual(lostOf({ freed: noInitrd, ramdisk: null }), []);
  // 5.0 to 5.4 call all three lines alike, and before that no line speaks of an image.
  const alike = (what: string, count: number): BootLog["freed"] => [
    { line: 1, what: "initrd", kib: 4, range: null },
    ...Array.from({ length: count }, (_, i) => ({ line: i + 2, what, kib: 4, range: null })),
  ];
  assert.deepEqual(lostOf({ freed: alike("unused kernel image", 3) }), []);
  assert.deepEqual(lostOf({ freed: alike("unused kernel image", 2) }), gaps.slice(1));
  assert.deepEqual(lostOf({ freed: alike("unused kernel image", 1) }), gaps);
  assert.deepEqual(lostOf({ freed: alike("unused kernel", 1) }), []);
});

test("the most that the lost end can have given back is its sections, to the byte", () => {
  const boot = anyBoot();
  const memory = boot.log.memory;
  assert.ok(memory !== null);
  const made = { ...memory, kernelCodeKib: 3000, rodataKib: 2048, initKib: 100 };
  const ramdisk = { start: 4096, end: 3 * 4096 };
  const log: BootLog = { ...boot.log, memory: made, freed: [], ramdisk, ramdiskMoved: null };
  const mib = 2 ** 20;
  assert.deepEqual(piecesLost(log, "x86_64"), [
    { what: "initrd", bytes: 8192 },
    // The section, 128 KiB of alternatives, and a huge page for what was decrypted.
    { what: "init", bytes: (100 + 128) * 1024 + 2 * mib },
    // 3000 KiB of code end 1096 KiB below 4 MiB; rodata fills its huge page.
    { what: "text/rodata gap", bytes: 1096 * 1024 },
  ]);
  assert.equal(pagesOfLost(piecesLost(log, "x86_64"), 4096), 2 + 25 + 32 + 512 + 274);
  assert.deepEqual(piecesLost({ ...log, ramdisk: null }, "arm64")[0]?.bytes, Infinity);
  assert.equal(pagesOfLost(piecesLost(log, "i386"), 4096), 2 + 25 + 32);
});
