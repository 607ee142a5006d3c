/** The files that `replay` writes while it runs: decisions as CSV, a trace for Perfetto. */
import {
  InputError,
  type LineWriter,
  type ListWriter,
  lineWriter,
  listWriter,
} from "../host/index.ts";
import {
  type MachineFacts,
  PERFETTO_HEAD,
  PERFETTO_TAIL,
  PerfettoEvents,
  type ReplayTask,
} from "../replay/index.ts";
import { usage } from "./failure.ts";

export interface ReplayFiles {
  /** What a replay tells them. */
  readonly hooks: Pick<ReplayTask, "decide" | "observe">;
  readonly flush: () => Promise<void>;
  /** The run is over, however it ended. */
  readonly close: () => Promise<void>;
}

/** Wrong usage where one cannot be written. */
export async function openReplayFiles(
  paths: { readonly decisions?: string; readonly perfetto?: string },
  facts: MachineFacts,
): Promise<ReplayFiles> {
  const rows = await opened("--decisions", paths.decisions, lineWriter);
  const list = await opened("--perfetto", paths.perfetto, (path) =>
    listWriter(path, PERFETTO_HEAD, PERFETTO_TAIL),
  );
  rows?.write("seq,pfn_recorded,pfn_predicted,zone_predicted\n");
  const events: { own: PerfettoEvents | null } = { own: null };
  const labels = labelsOf(facts);
  return {
    hooks: {
      ...(rows === null ? {} : { decide: rowsOf(rows, labels) }),
      ...(list === null ? {} : { observe: observerOf(list, labels, events) }),
    },
    flush: async () => {
      await rows?.flush();
      await list?.flush();
    },
    close: async () => {
      events.own?.end();
      await rows?.close();
      await list?.close();
    },
  };
}

async function opened<T extends LineWriter | ListWriter>(
  option: string,
  path: string | undefined,
  open: (path: string) => Promise<T>,
): Promise<T | null> {
  if (path === undefined) return null;
  try {
    return await open(path);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw usage(option, `${path}: ${error.message}`, error.mend);
  }
}

/** Zone names, with the node where there are several. */
function labelsOf({ zones }: MachineFacts): string[] {
  const nodes = new Set(zones.map(({ node }) => node)).size;
  return zones.map(({ node, name }) => (nodes > 1 ? `N${node}/${name}` : name));
}

/** One row a decision, numbers decimal; -1 and an empty zone stand for a refusal. */
function rowsOf(file: LineWriter, labels: readonly string[]): NonNullable<ReplayTask["decide"]> {
  let seq = 0;
  return (e, pfn, zone) => {
    file.write(`${seq},${e.pfn},${pfn},${labels[zone] ?? ""}\n`);
    seq++;
  };
}

function observerOf(
  file: ListWriter,
  labels: readonly string[],
  events: { own: PerfettoEvents | null },
): NonNullable<ReplayTask["observe"]> {
  return ({ m }) => {
    const own = new PerfettoEvents(m, labels, (event) => file.write(event));
    events.own = own;
    return (e, score) => {
      own.note(e, score);
      return true;
    };
  };
}
