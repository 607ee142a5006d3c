// Goal: whatever a correct driver, its device and the CPU do, they see the bytes that an ideal
// machine would show them; nothing leaks and nothing is reported. Method: random programs on random
// machines (masks, windows, forced bouncing, caches that devices do not see; swiotlb, mask pools,
// IOMMUs, a GART) beside a machine without limits; the debugger watches.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Program, steps } from "../support/dma-program.ts";
import {
  gartSetup,
  identitySetup,
  type Knobs,
  lazySetup,
  maskPoolSetup,
  plainSetup,
  poolOpsSetup,
  type Setup,
  strictSetup,
  swiotlbSetup,
  untrustedSetup,
} from "../support/dma-setups.ts";

const NOW = ["6.1", "6.12"];
const SETUPS: Readonly<Record<string, readonly [(knobs: Knobs) => Setup, readonly string[]]>> = {
  "S8 without an IOMMU": [plainSetup, NOW],
  "S11 through swiotlb": [swiotlbSetup, ["2.6.39", "4.19", "5.10", ...NOW]],
  "S14 through a mask pool": [maskPoolSetup, ["5.10", "6.1"]],
  "S13 on a machine whose DMA zone is a mask pool": [poolOpsSetup, ["5.10", "6.1"]],
  "S10 behind a strict IOMMU": [strictSetup, ["5.10", ...NOW]],
  "S10 behind a lazy IOMMU": [lazySetup, ["5.10", ...NOW]],
  "S10 behind an IOMMU that lets everything through": [identitySetup, NOW],
  "S10 not trusted, behind an IOMMU": [untrustedSetup, NOW],
  "S10 behind a GART": [gartSetup, ["2.6.39"]],
};

for (const [row, [make, eras]] of Object.entries(SETUPS)) {
  test(`${row} any correct program sees the bytes of an ideal machine`, () => {
    const knobs: fc.Arbitrary<Knobs> = fc.record({
      bits: fc.constantFrom(20, 21, 22, 32, 64),
      coherent: fc.boolean(),
      offset: fc.constantFrom(0, 0, 0x1000_0000),
      force: fc.boolean(),
      debug: fc.boolean(),
      era: fc.constantFrom(...eras),
    });
    let compared = 0;
    let refused = 0;
    fc.assert(
      fc.property(knobs, steps, (knob, program) => {
        const run = new Program(make(knob));
        run.run(program);
        run.end();
        compared += run.compared;
        refused += run.refused;
        assert.equal(run.setup.dma.reports.misuses.map(({ words }) => words).join(), "");
      }),
      { numRuns: 60 },
    );
    // A test that never compared anything, or was always refused, would show nothing.
    assert.ok(compared > 200 && refused < compared, `${compared} compared, ${refused} refused`);
  });
}
