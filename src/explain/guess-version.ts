/**
 * What the shape of a report says about the kernel that printed it, where no release is printed: the
 * fields that came and went bound the version from both sides.
 *
 * Linux: show_free_areas(), mm/page_alloc.c, from 2.6.9 to 6.19
 */
import type { MemoryReport, ReportZone } from "../formats/index.ts";
import { versionRank } from "../kernels/gfp.ts";

/** Versions in [from, before); null: no bound. */
export interface VersionBounds {
  readonly from: string | null;
  readonly before: string | null;
}

type Test = (report: MemoryReport) => boolean;

const has =
  (field: string): Test =>
  ({ zones }) =>
    zones.some(({ fields }) => fields.has(field));
/** The row's end was printed, and the field is not in it: rows that are cut prove nothing. */
const lacks =
  (field: string): Test =>
  ({ zones }) =>
    zones.some(({ fields }) => fields.has("present")) &&
    !zones.some(({ fields }) => fields.has(field));
const lettered = ({ freeList }: ReportZone): boolean =>
  freeList?.blocks.some(({ count, types }) => count > 0 && types !== null) === true;
const bare = ({ freeList }: ReportZone): boolean =>
  freeList?.blocks.some(({ count, types }) => count > 0 && types === null) === true;

const FROM: readonly (readonly [string, Test])[] = [
  ["3.8", ({ zones }) => zones.some(lettered)],
  ["3.10", has("managed")],
  ["4.6", ({ gfp }) => gfp?.names !== null && gfp?.names !== undefined],
  ["5.5", has("reserved_highatomic")],
  ["5.14", has("boost")],
];

const BEFORE: readonly (readonly [string, Test])[] = [
  ["2.6.11", ({ zones }) => zones.some(({ reserveName }) => reserveName === "protections")],
  ["2.6.18", ({ kind, order }) => kind === "oom" && order === null],
  ["3.2", ({ text }) => /failure\. order/.test(text)],
  ["3.8", ({ zones }) => zones.some(bare)],
  ["3.10", lacks("managed")],
  ["4.6", ({ gfp }) => gfp !== null && gfp.bits !== 0 && gfp.names === null],
  ["5.5", lacks("reserved_highatomic")],
  ["5.14", lacks("boost")],
];

export function versionBounds(report: MemoryReport): VersionBounds {
  const from = FROM.findLast(([, test]) => test(report))?.[0] ?? null;
  const before = BEFORE.find(([, test]) => test(report))?.[0] ?? null;
  return { from, before };
}

/** Whether the version may lie in the bounds. */
export function within(version: string, { from, before }: VersionBounds): boolean {
  const rank = versionRank(version) ?? 0;
  return (
    (before === null || rank < (versionRank(before) ?? 0)) &&
    (from === null || rank >= (versionRank(from) ?? 0))
  );
}
