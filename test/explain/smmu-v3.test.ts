// Goal: of an event of SMMUv3 the address, the stream and the kind of access are read from its words,
// wherever lines of others fall. Method: logs as users posted them of 4.19 to 6.18 (mailing lists,
// commit messages), each with what its words hold; then cut, mixed and shuffled ones.
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { test } from "node:test";
import { type FailureMessage, readFailures } from "../../src/formats/index.ts";
import { explain, explainOne } from "./explain.ts";

interface Fault {
  readonly device: string | null;
  readonly stream: number | null | undefined;
  readonly address: string;
  readonly access: string | null;
}

function faults(log: string): Fault[] {
  const found: Fault[] = [];
  readFailures(log, {
    report: () => undefined,
    message: (message: FailureMessage) => {
      if (message.kind !== "iommu-fault") return;
      const { device, stream, address, access } = message;
      found.push({ device, stream, address: address.toString(16), access });
    },
  });
  return found;
}

/** A heading and its words, in the SMMU's name. */
function event(
  code: string,
  words: readonly string[],
  smmu = "arm-smmu-v3 9050000.smmuv3",
): string[] {
  return [`${smmu}: event 0x${code} received:`, ...words.map((word) => `${smmu}: \t0x${word}`)];
}

const stamped = (lines: readonly string[]): string =>
  lines.map((line, i) => `[  106.5${85811 + i}] ${line}`).join("\n");

test("4.19: tabs, and a stage's address in the last word", () => {
  const log = `arm-smmu-v3 arm-smmu-v3.1.auto: event 0x10 received:
  arm-smmu-v3 arm-smmu-v3.1.auto:  0x00007d0000000010
  arm-smmu-v3 arm-smmu-v3.1.auto:  0x0000020900000080
  arm-smmu-v3 arm-smmu-v3.1.auto:  0x00000000f47cf000
  arm-smmu-v3 arm-smmu-v3.1.auto:  0x00000000f47cf000
`;
  deepEqual(faults(log), [
    {
      device: "arm-smmu-v3 arm-smmu-v3.1.auto",
      stream: 0x7d00,
      address: "f47cf000",
      access: "read",
    },
  ]);
  const finding = explainOne(log);
  match(finding.sentence, /^The device of stream 0x7d00 behind arm-smmu-v3 arm-smmu-v3\.1\.auto /);
  match(finding.sentence, /not mapped for it: 0xf47cf000 \(read\)/);
  match(finding.missing.join("\n"), /stream 0x7d00 is: .*here 7d:00\.0/);
});

test("5.3: a mail client broke a word at its middle", () => {
  const log = `> [  196.747107] arm-smmu-v3 arm-smmu-v3.0.auto: event 0x10 received:
> [  196.747109] arm-smmu-v3 arm-smmu-v3.0.auto: 0x00000180 00000010
> [  196.747110] arm-smmu-v3 arm-smmu-v3.0.auto: 0x0000020100000000
> [  196.747111] arm-smmu-v3 arm-smmu-v3.0.auto: 0x00000000ffffe040
> [  196.747113] arm-smmu-v3 arm-smmu-v3.0.auto: 0x00000000ffffe000
`;
  const [fault] = faults(log);
  deepEqual([fault?.stream, fault?.address, fault?.access], [0x180, "ffffe040", "write"]);
});

test("6.x: lines of others between the words", () => {
  const log = `[    1.966934] arm-smmu-v3 9050000.smmuv3: event 0x10 received:
[    1.967442] input: gpio-keys as /devices/platform/gpio-keys/input/input0
[    1.967478] arm-smmu-v3 9050000.smmuv3:      0x0000020000000010
[    1.968381] clk: Disabling unused clocks
[    1.968677] arm-smmu-v3 9050000.smmuv3:      0x0000020000000000
[    1.968990] PM: genpd: Disabling unused power domains
[    1.969424] arm-smmu-v3 9050000.smmuv3:      0x0000000080000000
[    1.969814] ALSA device list:
[    1.970240] arm-smmu-v3 9050000.smmuv3:      0x0000000000000000
[    1.970471]   No soundcards found.
[    1.970902] arm-smmu-v3 9050000.smmuv3: event 0x10 received:
[    1.971600] arm-smmu-v3 9050000.smmuv3:      0x0000020800000010
`;
  const own = faults(log).map(({ stream, address }) => [stream, address]);
  deepEqual(own, [
    [0x200, "80000000"],
    [0x208, "0"],
  ]);
});

test("since 6.14 words say it too, and are no second fault", () => {
  const log = stamped([
    ...event("10", [
      "0000010000000010",
      "0000020000000000",
      "000000090000f040",
      "0000000000000000",
    ]),
    "arm-smmu-v3 9050000.smmuv3: event: F_TRANSLATION client: 0000:01:00.0 sid: 0x100 ssid: 0x0 iova: 0x90000f040 ipa: 0x0",
    'arm-smmu-v3 9050000.smmuv3: unpriv data write s1 "Input address caused fault" stag: 0x0',
    "r8169 0000:03:00.0 enp3s0: Link is Down",
  ]);
  const fault = { device: "0000:01:00.0", stream: 0x100, address: "90000f040", access: "write" };
  deepEqual(faults(log), [fault]);
  match(explainOne(log).sentence, /^0000:01:00\.0 accesses .*: 0x90000f040 \(write\)/);
  // The heading and the words were lost.
  deepEqual(faults(log.split("\n").slice(5).join("\n")), [fault]);
});

test("each stream is a finding, faults of one are one", () => {
  const of = (stream: string, address: string): string[] =>
    event("10", [`${stream}00000010`, "0000020800000000", address, "0000000000000000"]);
  const log = stamped([
    ...of("00000900", "0000007ffd105a00"),
    ...of("00000900", "0000007ffd106a00"),
    ...of("00000a00", "0000007ffd105a00"),
  ]);
  deepEqual(
    explain(log).map(({ count }) => count),
    [2, 1],
  );
});

test("only events that have an address tell one", () => {
  const words = (code: string): string[] =>
    event(code, [`00000400000000${code}`, "0000000000000000", "00000000dead0000", "0"]);
  for (const code of ["02", "04", "06", "08", "0a", "25"]) {
    deepEqual(faults(words(code).join("\n"))[0], {
      device: "arm-smmu-v3 9050000.smmuv3",
      stream: 0x400,
      address: "0",
      access: null,
    });
  }
  for (const code of ["11", "12", "13"])
    equal(faults(words(code).join("\n"))[0]?.address, "dead0000");
});

test("two SMMUs at once, a cut log, and a heading alone", () => {
  const one = event(
    "13",
    ["0000001100000013", "0000020a00000000", "000000009b0cc000", "0000000000000000"],
    "arm-smmu-v3 a.iommu",
  );
  const foreign = "arm-smmu-v3 b.iommu: \t0x0000009900000010";
  const mixed = [...one.slice(0, 2), foreign, ...one.slice(2)];
  deepEqual(faults(stamped(mixed))[0], {
    device: "arm-smmu-v3 a.iommu",
    stream: 0x11,
    address: "9b0cc000",
    access: "read",
  });
  for (let lines = 1; lines <= one.length; lines++) {
    const [fault, ...more] = faults(stamped(one.slice(0, lines)));
    ok(fault !== undefined && more.length === 0);
    equal(fault.stream, lines > 1 ? 0x11 : null);
    equal(fault.access, lines > 2 ? "read" : null);
    equal(fault.address, lines > 3 ? "9b0cc000" : "0");
  }
});

test("what comes long after is nobody's", () => {
  const [heading = "", ...words] = event("10", ["0000001100000010", "0", "000000009b0cc000", "0"]);
  const others = Array.from({ length: 20 }, (_, i) => `usb 1-1: new device ${i}`);
  deepEqual(faults(stamped([heading, ...others, ...words]))[0]?.stream, null);
});
