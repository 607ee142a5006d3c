/** IOMMUs: address space behind them, lazy unmapping, page tables, and the GART of old. */
export {
  createFlushQueue,
  type FlushHooks,
  type FlushQueue,
  fireFlushTimer,
  flushTimerArmed,
  queueIova,
} from "./flush-queue.ts";
export { PTE_FORMATS } from "./formats.ts";
export {
  allocIovaFast,
  createIovaDomain,
  freeIovaFast,
  type IovaDomain,
  isFree,
  reserveIova,
  roundedSize,
} from "./iova-domain.ts";
export { mapRange, unmapRange, walk } from "./page-table.ts";
export { coherentOrders, granulesOf } from "./size.ts";
export { createPageTable, freeTables, type PageTable, tableCount } from "./table-store.ts";
