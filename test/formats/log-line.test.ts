// Goal: a kernel message comes out the same whatever wrapped it. Method: each wrapping that
// dmesg, journald, syslogs and consoles produce, written out, and arbitrary text for safety.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseLogLine } from "../../src/formats/log-line.ts";

const MESSAGE = "  DMA      [mem 0x0000000000001000-0x0000000000ffffff]";

test("each wrapping gives level, time and the message with its indentation", () => {
  const wrapped: readonly [string, number | null, number | null][] = [
    [MESSAGE, null, null],
    [`<6>${MESSAGE}`, 6, null],
    [`<6>[    0.033984] ${MESSAGE}`, 6, 0.033984],
    [`<14>[    0.033984] ${MESSAGE}`, 6, 0.033984],
    [`[    0.000000] ${MESSAGE}`, null, 0],
    [`[12345.678901] ${MESSAGE}`, null, 12345.678901],
    [`[   12.345678][    T1] ${MESSAGE}`, null, 12.345678],
    [`<7>[   12.345678][   C12] ${MESSAGE}`, 7, 12.345678],
    [`[   12.345678] [    T1] ${MESSAGE}`, null, 12.345678],
    [`[    0.000000 <    0.000000>] ${MESSAGE}`, null, 0],
    [`[Tue Nov  3 10:00:00 2026] ${MESSAGE}`, null, null],
    [`[Nov 3 10:00] ${MESSAGE}`, null, null],
    [`[  +0.000012] ${MESSAGE}`, null, null],
    [`2026-11-03T10:00:00,123456+01:00 ${MESSAGE}`, null, null],
    [`6,339,5140900,-;${MESSAGE}`, 6, 5.1409],
    [`6,339,5140900,-,caller=T1;${MESSAGE}`, 6, 5.1409],
    [`kern  :info  : [    0.033984] ${MESSAGE}`, 6, 0.033984],
    [`kern  :debug : [Tue Nov  3 10:00:00 2026] ${MESSAGE}`, 7, null],
    [`Nov 03 10:00:00 host kernel: ${MESSAGE}`, null, null],
    [`Nov  3 10:00:00 host kernel: [    1.230000] ${MESSAGE}`, null, 1.23],
    [`Nov 03 10:00:00.123456 host kernel: ${MESSAGE}`, null, null],
    [`2026-11-03T10:00:00.123456+01:00 host kernel: [    1.230000] ${MESSAGE}`, null, 1.23],
    [`2026-11-03T10:00:00+0100 host kernel: ${MESSAGE}`, null, null],
    [`Tue 2026-11-03 10:00:00 CET host kernel: ${MESSAGE}`, null, null],
    [`1762160400.123456 host kernel: ${MESSAGE}`, null, null],
    [`[    1.230000] host kernel: ${MESSAGE}`, null, 1.23],
    [`Jan  1 00:00:00 host kern.info kernel: [    1.230000] ${MESSAGE}`, null, 1.23],
    [`Tue Nov  3 10:00:00 2026 kern.info kernel: [    1.230000] ${MESSAGE}`, null, 1.23],
    [`kernel: [    1.230000] ${MESSAGE}`, null, 1.23],
    [`\u001b[32m[    0.033984] \u001b[0m${MESSAGE}`, null, 0.033984],
    [`\ufeff[    0.033984] ${MESSAGE}`, null, 0.033984],
  ];
  for (const [text, level, time] of wrapped) {
    assert.deepEqual(parseLogLine(text), { level, time, message: MESSAGE }, text);
  }
});

test("what looks like a wrapping and is none stays in the message", () => {
  const bare = [
    "[mem 0xc0000000-0xfeffbfff] available for PCI devices",
    "[Firmware Bug]: no default clock",
    "879MB LOWMEM available.",
    "0: 0x00000010 -> 0x0000009f",
    "Kernel command line: root=/dev/sda1",
    "kernel command line: root=/dev/sda1",
    "<no level> here",
    "<>",
    "[",
    "[    0.0000",
    "",
    "May the fourth",
  ];
  for (const text of bare)
    assert.deepEqual(parseLogLine(text), { level: null, time: null, message: text });
});

test("another program's line keeps the program's name", () => {
  const { message } = parseLogLine("Nov 03 10:00:00 host systemd[1]: Memory: 1K/2K available (x)");
  assert.equal(message, "host systemd[1]: Memory: 1K/2K available (x)");
});

test("any text is a line, and its end is kept", () => {
  const piece = fc.constantFrom(
    "<6>",
    "[",
    "]",
    "    0.5",
    "kernel: ",
    "Nov  3 10:00:00 ",
    ";",
    " ",
    ":",
    "6,1,2,-;",
    "\u001b[1m",
    "x",
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: "binary" }),
        fc.array(piece).map((all) => all.join("")),
      ),
      (text) => {
        const line = parseLogLine(`${text}end`);
        assert.ok(line.message.endsWith("end"));
        assert.ok(line.level === null || (line.level >= 0 && line.level <= 7));
        assert.ok(line.time === null || Number.isFinite(line.time));
      },
    ),
  );
});
