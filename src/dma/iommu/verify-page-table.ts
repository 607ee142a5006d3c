/** The invariants of `page-table.ts`, looked at entry by entry. */
import { pfnOf } from "./page-table.ts";
import { ENTRIES, entriesOf, type PageTable, ROOT, startOf, tableCount } from "./table-store.ts";

/** What is wrong, by invariant; empty when nothing is. */
export function verifyPageTable(t: PageTable): string[] {
  const wrong: string[] = [];
  let tables = 0;
  const visit = (slot: number, level: number): void => {
    tables++;
    const entries = entriesOf(t, slot);
    const start = startOf(t, slot);
    let used = 0;
    for (let i = 0; i < ENTRIES; i++) {
      const low = entries[start + i * 2];
      const child = t.child[slot * ENTRIES + i];
      if (low !== 0) used++;
      if ((low !== 0 && t.format.isTable(low, level)) !== (child !== 0)) {
        wrong.push(`P1: entry ${i} of table ${slot} and its child disagree`);
      } else if (child !== 0) {
        if (pfnOf(low, entries[start + i * 2 + 1]) !== t.pfn[child]) {
          wrong.push(`P1: entry ${i} of table ${slot} leads to another page`);
        }
        visit(child, level - 1);
      }
    }
    if (used !== t.used[slot]) wrong.push(`P2: table ${slot} says ${t.used[slot]}, holds ${used}`);
  };
  visit(ROOT, t.levels);
  if (tables > tableCount(t)) wrong.push("P3: a table in use has been freed");
  return wrong;
}
