// All scenarios, in the order of docs/scenarios.md.
import { idleReserve } from "./idle-reserve.ts";
import { pinnedPages } from "./pinned-pages.ts";
import type { Scenario } from "./scenario.ts";

export const SCENARIOS: readonly Scenario[] = [pinnedPages, idleReserve];
