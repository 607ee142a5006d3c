/** Devices × zones: what each mask reaches, and where buffers come from. */
import type { DeviceReach } from "../../dma/reach.ts";
import type { Style } from "../terminal.ts";
import { type Ink, spell } from "./paint.ts";
import { type Column, table } from "./table.ts";

interface Row {
  readonly names: readonly string[];
  readonly device: DeviceReach;
}

/** Devices that get the same share a row; with `brief` also a plain mask and the devices that have it. */
export function reachMatrix(
  style: Style,
  devices: readonly DeviceReach[],
  brief = false,
): string[] {
  const rows = grouped(devices, brief);
  const zones = [...new Set(devices.flatMap((device) => device.reach.map(({ zone }) => zone)))];
  const columns: Column<Row>[] = [
    { head: "device", align: "left", cell: nameWords },
    { head: "bits", align: "right", cell: ({ device }) => bitsWords(device) },
    ...zones.map(
      (zone): Column<Row> => ({
        head: zone,
        align: "right",
        cell: ({ device }) => spell(style, share(device, zone)),
      }),
    ),
    {
      head: "coherent from",
      align: "left",
      importance: 1,
      cell: ({ device }) => spell(style, coherentWords(device)),
    },
    {
      head: "streaming",
      align: "left",
      cell: ({ device }) => device.streamingWords,
      ink: verdictInk,
    },
  ];
  return table(style, columns, rows);
}

function grouped(devices: readonly DeviceReach[], brief: boolean): Row[] {
  const rows = new Map<string, { names: string[]; device: DeviceReach }>();
  for (const device of devices) {
    const { name: _name, ...same } = device;
    const key = JSON.stringify([same, String(device.limit), !brief && isClassic(device.name)]);
    const row = rows.get(key);
    if (row === undefined) rows.set(key, { names: [device.name], device });
    else row.names.push(device.name);
  }
  return [...rows.values()].sort((a, b) => a.device.dmaBits - b.device.dmaBits);
}

/** The masks that every plan shows are not devices of the machine. */
function isClassic(name: string): boolean {
  return /^\d+-bit$/.test(name);
}

function nameWords({ names }: Row): string {
  const masks = names.filter(isClassic);
  const real = names.filter((name) => !isClassic(name));
  const more = real.length - 1;
  const words = real.slice(0, 1).map((name) => name + (more > 0 ? ` +${more}` : ""));
  return [...masks, ...words].join(", ");
}

function bitsWords({ dmaBits, coherentBits }: DeviceReach): string {
  return dmaBits === coherentBits ? String(dmaBits) : `${dmaBits}/${coherentBits}`;
}

function share(device: DeviceReach, zone: string): string {
  const own = device.reach.filter((reach) => reach.zone === zone);
  const reachable = own.reduce((sum, reach) => sum + reach.reachable, 0);
  const present = own.reduce((sum, reach) => sum + reach.present, 0);
  if (reachable === 0) return "—";
  if (reachable === present) return "all";
  return percentOf(reachable / present);
}

function coherentWords(device: DeviceReach): string {
  if (device.coherentFrom === null) return "nowhere";
  const retry = device.coherentRetry === null ? "" : `, then ${device.coherentRetry}`;
  const fits = device.coherentFits === 1 ? "" : ` ${percentOf(device.coherentFits)}`;
  return `${device.coherentFrom}${fits}${retry}`;
}

/** How much of something, never rounded to nothing or to all. */
function percentOf(part: number): string {
  const percent = part * 100;
  if (percent === 0) return "none of it";
  return percent < 1 ? "<1 %" : percent > 99 ? ">99 %" : `${percent.toFixed(0)} %`;
}

function verdictInk({ device }: Row): Ink {
  if (!device.supported || device.streaming === "unreachable") return "bad";
  return device.streaming === "bounce" ? "warn" : "good";
}
