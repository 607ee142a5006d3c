/**
 * The snapshot in a capture's folder: the kernel's own lists where it told them,
 * otherwise page flags and sums. What goes wrong is a `Failure` with one clear line.
 */
import { hasErrors, type Issue } from "../base/issue.ts";
import type { Range } from "../base/range.ts";
import { bootLogReader, readText } from "../formats/index.ts";
import { inputErrorOf } from "../host/index.ts";
import { flagsSnapshot, type ListSnapshot, listSnapshot } from "../replay/index.ts";
import { EXIT_INPUT, Failure, unreadable } from "./failure.ts";
import { below } from "./load.ts";

export interface LoadedSnapshot {
  readonly snap: ListSnapshot;
  readonly issues: readonly Issue[];
}

/** Text of a file of the capture; null when it is not there. */
export type TextOf = (name: string) => Promise<string | null>;

export function failed(source: string, message: string, mend: string): Failure {
  return new Failure(EXIT_INPUT, [{ severity: "error", source, message, mend }]);
}

/** `areas` tells the CMA areas of the machine, in bytes; asked only where no lists are told. */
export async function loadSnapshot(
  path: string,
  textOf: TextOf,
  areas: () => Promise<readonly Range[]>,
): Promise<LoadedSnapshot> {
  const text: TextOf = async (name) => {
    try {
      return await textOf(name);
    } catch (error) {
      const { message, mend } = inputErrorOf(error);
      throw failed(`${path}/${name}`, message, mend ?? "copy the file again");
    }
  };
  const freelists = await text("snap/freelists");
  const pageblocks = await text("snap/pageblocks");
  const kpageflags = (await text("snap/kpageflags.rle")) ?? (await text("kpageflags.rle"));
  const { value, issues } =
    freelists !== null && pageblocks !== null
      ? listSnapshot({ freelists, pageblocks, kpageflags })
      : flagsSnapshot(await flagTexts(path, text, kpageflags), await areas());
  const placed = below(path, issues);
  if (value === null || hasErrors(placed)) throw unreadable(placed);
  return { snap: value, issues: placed };
}

/** Files of the snapshot's moment; the capture's own where it has no others. */
async function flagTexts(
  path: string,
  text: TextOf,
  kpageflags: string | null,
): Promise<Parameters<typeof flagsSnapshot>[0]> {
  const either = async (name: string): Promise<string | null> =>
    (await text(`snap/${name}`)) ?? (await text(name));
  const zoneinfo = await either("zoneinfo");
  const pagetypeinfo = await either("pagetypeinfo");
  if (kpageflags === null || zoneinfo === null || pagetypeinfo === null) {
    const message =
      "neither snap/freelists and snap/pageblocks nor snap/kpageflags.rle, zoneinfo and pagetypeinfo are in it, and a replay starts from one or the other";
    throw failed(path, message, "record it with scripts/lab, which takes snapshots");
  }
  return { kpageflags, zoneinfo, pagetypeinfo, buddyinfo: await either("buddyinfo") };
}

/** CMA areas that the capture's boot log names, in bytes. */
export async function cmaAreas(textOf: TextOf): Promise<readonly Range[]> {
  const log = await textOf("dmesg");
  return log === null ? [] : readText(bootLogReader(), log).value.cma;
}
