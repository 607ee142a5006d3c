/** The rules of memory reports in the order in which they are asked: the first claim stands. */
import type { MemoryRule } from "./memory-case.ts";
import { allocatorNotFed } from "./rules/allocator-not-fed.ts";
import { belowWatermark } from "./rules/below-watermark.ts";
import { corruptAccounting } from "./rules/corrupt-accounting.ts";
import { cpuset } from "./rules/cpuset.ts";
import { firstLine } from "./rules/first-line.ts";
import { forced } from "./rules/forced.ts";
import { fragmentation } from "./rules/fragmentation.ts";
import { lowmemExhausted } from "./rules/lowmem-exhausted.ts";
import { memcg } from "./rules/memcg.ts";
import { notEnoughInZone } from "./rules/not-enough-in-zone.ts";
import { oneFactor } from "./rules/one-factor.ts";
import { onlyTypes } from "./rules/only-types.ts";
import { oomWithoutRequest } from "./rules/oom-without-request.ts";
import { orderWatermark } from "./rules/order-watermark.ts";
import { passesNow } from "./rules/passes-now.ts";
import { requestTooLarge } from "./rules/request-too-large.ts";
import { tinyZone } from "./rules/tiny-zone.ts";
import { undecided } from "./rules/undecided.ts";
import { vmalloc } from "./rules/vmalloc.ts";
import { zoneMissing } from "./rules/zone-missing.ts";

export const MEMORY_RULES: readonly MemoryRule[] = [
  forced,
  memcg,
  oomWithoutRequest,
  corruptAccounting,
  allocatorNotFed,
  vmalloc,
  firstLine,
  zoneMissing,
  requestTooLarge,
  tinyZone,
  cpuset,
  passesNow,
  notEnoughInZone,
  onlyTypes,
  orderWatermark,
  fragmentation,
  undecided,
  oneFactor,
  lowmemExhausted,
  belowWatermark,
];
