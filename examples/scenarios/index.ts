// All scenarios, in the order of docs/scenarios.md.
import { bounceSizes } from "./bounce-sizes.ts";
import { evenMebibytes } from "./even-mebibytes.ts";
import { idleReserve } from "./idle-reserve.ts";
import { nvidiaCard } from "./nvidia-card.ts";
import { ownMemory } from "./own-memory.ts";
import { pinnedPages } from "./pinned-pages.ts";
import type { Scenario } from "./scenario.ts";
import { soundCard } from "./sound-card.ts";
import { twoBanks } from "./two-banks.ts";

export const SCENARIOS: readonly Scenario[] = [
  nvidiaCard,
  bounceSizes,
  soundCard,
  evenMebibytes,
  ownMemory,
  twoBanks,
  pinnedPages,
  idleReserve,
];
