// Goal: a boost that only the changed machine has is paid after as long as a pass of kswapd took in the
// recording, and none that both have. Method: two memories of one snapshot, boosts written by hand.
import { deepEqual, ok } from "node:assert/strict";
import { test } from "node:test";
import { Z_BOOST, ZONE_WORDS } from "../../src/mm/memory.ts";
import { BoostDebt } from "../../src/replay/boost-debt.ts";
import { startState } from "../../src/replay/index.ts";
import { recorded } from "./recorded.ts";

test("what is above the recorded boost is paid after a pass's length, no sooner, no more", async () => {
  const trace = await recorded("a-boot-512M");
  const theirs = startState(trace.from, trace.facts).value?.m;
  const ours = startState(trace.from, trace.facts).value?.m;
  ok(theirs !== undefined && ours !== undefined);
  const at = ZONE_WORDS + Z_BOOST;
  const debt = new BoostDebt(theirs, ours);
  const boosts = (time: number): (number | undefined)[] => {
    debt.step(time);
    return [theirs.zone[at], ours.zone[at]];
  };
  debt.step(1000);
  debt.passBegins(0);
  debt.step(1400);
  debt.passEnds(0);
  // An end without a beginning tells nothing.
  debt.passEnds(0);
  theirs.zone[at] = 512;
  ours.zone[at] = 512;
  deepEqual(boosts(5000), [512, 512]);
  deepEqual(boosts(9000), [512, 512]);
  ours.zone[at] = 1024;
  deepEqual(boosts(9100), [512, 1024]);
  deepEqual(boosts(9499), [512, 1024]);
  deepEqual(boosts(9500), [512, 512]);
  theirs.zone[at] = 1024;
  deepEqual(boosts(20_000), [1024, 512]);
});
