/** How much more a machine would grant, how much of it is in pieces, and who cannot reach it. */
import { formatBytes, formatCount } from "../../base/units.ts";
import { type BouncingDevice, bouncingDevices } from "../../documents/index.ts";
import type { Bounds, ClassHeadroom, Headroom, Plan, ZoneFragmentation } from "../../plan/index.ts";
import type { Style } from "../terminal.ts";
import { sparkline } from "./charts.ts";
import { type Ink, paint, spell, wrap } from "./paint.ts";
import { type Column, table } from "./table.ts";

/** Orders whose fragmentation is shown; --json has all. */
const ORDERS_SHOWN: readonly number[] = [2, 4, 9];
const NAMES_SHOWN = 6;

export function headroomTitle(headroom: Headroom | null): string {
  const doubt = headroom?.byType === false ? " (bounds: pagetypeinfo would tell more)" : "";
  return `Allocations left before one is refused, if nothing is freed${doubt}`;
}

/** A class a row, an order a column. */
export function headroomLines(style: Style, headroom: Headroom | null): string[] {
  if (headroom === null) return [];
  const orders = headroom.classes[0]?.orders.map(({ order }) => order) ?? [];
  const at = (row: ClassHeadroom, order: number): Bounds | null =>
    row.orders.find((own) => own.order === order)?.beforeRefusal ?? null;
  const columns: Column<ClassHeadroom>[] = [
    { head: "request", align: "left", cell: ({ name }) => name },
    ...orders.map(
      (order): Column<ClassHeadroom> => ({
        head: `order ${order}`,
        align: "right",
        cell: (row) => spell(style, boundsWords(at(row, order))),
        ink: (row) => leftInk(at(row, order)),
      }),
    ),
    {
      head: "order 0 before kswapd",
      align: "right",
      importance: 2,
      cell: (row) => spell(style, boundsWords(row.orders[0]?.beforeKswapd ?? null)),
    },
    {
      head: "from",
      align: "left",
      importance: 1,
      cell: ({ zones }) => (zones.length === 0 ? "no zone" : zones.join(", ")),
    },
  ];
  return table(style, columns, headroom.classes);
}

function boundsWords(bounds: Bounds | null): string {
  if (bounds === null) return "";
  const { low, high } = bounds;
  return low === high ? formatCount(low) : `${formatCount(low)}–${formatCount(high)}`;
}

function leftInk(bounds: Bounds | null): Ink | null {
  if (bounds === null) return null;
  return bounds.high === 0 ? "bad" : bounds.low === 0 ? "warn" : null;
}

/** A zone a row: where its free pages are by order, and what large requests cannot use of them. */
export function fragmentationLines(style: Style, headroom: Headroom | null): string[] {
  const rows = headroom?.fragmentation ?? [];
  const nodes = new Set(rows.map(({ node }) => node)).size;
  const columns: Column<ZoneFragmentation>[] = [
    {
      head: "zone",
      align: "left",
      cell: ({ node, zone }) => (nodes > 1 ? `N${node}/${zone}` : zone),
    },
    {
      head: "free by order, 0 first",
      align: "left",
      cell: ({ blocks }) => {
        const pages = blocks.map((count, order) => count * 2 ** order);
        return `|${sparkline(style, pages, Math.max(...pages, 0))}|`;
      },
    },
    ...ORDERS_SHOWN.map(
      (order): Column<ZoneFragmentation> => ({
        head: `no use to order ${order}`,
        align: "right",
        cell: (row) => unusableWords(row, order),
        ink: (row) => ((row.index[order] ?? -1000) >= 0 ? "bad" : null),
      }),
    ),
  ];
  return rows.length === 0 ? [] : table(style, columns, rows);
}

/** "3 %"; where nothing is left, why. */
function unusableWords({ unusable, index }: ZoneFragmentation, order: number): string {
  const share = unusable[order];
  if (share === undefined) return "";
  const cause = index[order] ?? -1000;
  const words = `${(share / 10).toFixed(share > 0 && share < 100 ? 1 : 0)} %`;
  if (cause < 0) return words;
  return cause >= 500 ? `${words}, in pieces` : `${words}, too little`;
}

/** Names and how much of RAM each cannot reach; one line where all reach everything. */
export function bouncingLines(style: Style, plan: Plan): string[] {
  const devices = bouncingDevices(plan);
  if (devices.length === 0) return [];
  const groups = new Map<string, BouncingDevice[]>();
  for (const device of devices) {
    const key = `${device.streaming} ${device.beyond}`;
    groups.set(key, [...(groups.get(key) ?? []), device]);
  }
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    const names = group.slice(0, NAMES_SHOWN).map(({ name }) => name);
    const more = group.length - names.length;
    const bounce = first.streaming === "bounce";
    const who = `${names.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
    const size = formatBytes(first.beyond * plan.pageSize);
    const what =
      first.beyond === 0 ? "every buffer" : `${size} of RAM beyond reach: a buffer there`;
    const fate = bounce ? "is copied through the bounce pool" : "cannot be mapped";
    const lines = wrap(`${who}: ${what} ${fate}`, style.width - 4, "  ");
    return lines.map((line) => `  ${paint(style, bounce ? "warn" : "bad", line)}`);
  });
}
