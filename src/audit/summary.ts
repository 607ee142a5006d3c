/** The uses counted: by folder, by verdict, by category. */
import { folderOf } from "./graph.ts";
import type { Use } from "./use.ts";

export interface CountRow {
  readonly name: string;
  readonly count: number;
}

export interface FolderRow {
  readonly folder: string;
  readonly count: number;
  readonly byVerdict: Readonly<Record<string, number>>;
}

export function countBy(uses: readonly Use[], key: (use: Use) => string): CountRow[] {
  const counts = new Map<string, number>();
  for (const use of uses) counts.set(key(use), (counts.get(key(use)) ?? 0) + 1);
  return [...counts]
    .map(([name, count]) => ({ name, count }))
    .sort((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1));
}

/** Folders to a depth that keeps a kernel's subsystems apart. */
export function countFolders(uses: readonly Use[], depth = 2): FolderRow[] {
  const rows = new Map<string, Map<string, number>>();
  for (const use of uses) {
    const parts = folderOf(use.file).split("/").filter(Boolean);
    const folder = parts.slice(0, depth).join("/") || ".";
    const row = rows.get(folder) ?? new Map<string, number>();
    row.set(use.verdict, (row.get(use.verdict) ?? 0) + 1);
    rows.set(folder, row);
  }
  return [...rows]
    .map(([folder, byVerdict]) => ({
      folder,
      count: [...byVerdict.values()].reduce((sum, count) => sum + count, 0),
      byVerdict: Object.fromEntries(byVerdict),
    }))
    .sort((a, b) => b.count - a.count || (a.folder < b.folder ? -1 : 1));
}
