// Goal: whatever a correct driver, its device and the CPU do, they see the bytes that an ideal
// machine would show them; nothing leaks and nothing is reported. Method: random programs on random
// machines (masks, windows, forced bouncing, caches that devices do not see) beside a machine
// without limits; the debugger watches.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Program, steps } from "../support/dma-program.ts";
import { type Knobs, type MakeSetup, plainSetup } from "../support/dma-setups.ts";

const knobs: fc.Arbitrary<Knobs> = fc.record({
  bits: fc.constantFrom(20, 21, 22, 32, 64),
  coherent: fc.boolean(),
  offset: fc.constantFrom(0, 0, 0x1000_0000),
  force: fc.boolean(),
  debug: fc.boolean(),
  era: fc.constantFrom("5.10", "6.1", "6.12"),
});

export const SETUPS: readonly (readonly [string, MakeSetup])[] = [["S8 S11", plainSetup]];

for (const [row, make] of SETUPS) {
  test(`${row} any correct program sees the bytes of an ideal machine`, () => {
    let compared = 0;
    let refused = 0;
    fc.assert(
      fc.property(knobs, steps, (knob, program) => {
        const run = new Program(make(knob));
        run.run(program);
        run.end();
        compared += run.compared;
        refused += run.refused;
        assert.deepEqual(run.setup.dma.reports.misuses, []);
      }),
      { numRuns: 200 },
    );
    // A test that never compared anything, or was always refused, would show nothing.
    assert.ok(compared > 1000 && refused < compared, `${compared} compared, ${refused} refused`);
  });
}
