/** The rules in the order in which they are asked; the first that speaks is the verdict. */
import type { Rule } from "../judgement.ts";
import { block } from "./block.ts";
import { bothZones, slabDma32 } from "./bug.ts";
import { dead } from "./dead.ts";
import { firmware } from "./firmware.ts";
import { graphics } from "./graphics.ts";
import { conditionalHint, videoQueue } from "./hint.ts";
import { isa } from "./isa.ts";
import { core, flagTest } from "./machinery.ts";
import { masks } from "./masks.ts";
import { misuse, socketBuffer } from "./misuse.ts";
import { notCode } from "./not-code.ts";
import { oddMask } from "./odd-mask.ts";
import { older } from "./older.ts";
import { pages } from "./pages.ts";
import { redundant } from "./redundant.ts";
import { s390 } from "./s390.ts";
import { unknown } from "./unknown.ts";

export const RULES: readonly (readonly [name: string, rule: Rule])[] = [
  ["not-code", notCode],
  ["dead", dead],
  ["core", core],
  ["masks", masks],
  ["older", older],
  ["both-zones", bothZones],
  ["flag-test", flagTest],
  ["redundant", redundant],
  ["s390", s390],
  ["isa", isa],
  ["odd-mask", oddMask],
  ["video-queue", videoQueue],
  ["conditional-hint", conditionalHint],
  ["graphics", graphics],
  ["firmware", firmware],
  ["block", block],
  ["slab-dma32", slabDma32],
  ["misuse", misuse],
  ["socket-buffer", socketBuffer],
  ["pages", pages],
  ["unknown", unknown],
];
