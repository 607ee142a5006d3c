// Scores the model against the captures of the corpus: what `npm run conformance` prints, what
// docs/fidelity.md says and what conformance.test.ts demands. One Score a capture; every question
// is a pair of equal and compared numbers, and every miss is kept with its words.

import { type Capture, readCapture, readVariant } from "../../src/formats/capture.ts";
import { readText } from "../../src/formats/index.ts";
import type { Zoneinfo, ZoneinfoZone } from "../../src/formats/zoneinfo.ts";
import { zoneinfoReader } from "../../src/formats/zoneinfo-reader.ts";
import {
  type MachineInput,
  machineFromCapture,
  type Plan,
  type PlannedZone,
  planMachine,
} from "../../src/plan/index.ts";
import { captureFiles, corpusFiles } from "../support/corpus.ts";

/** The questions, in the order of the table. */
export const QUESTIONS = [
  "span from log",
  "span from parameters",
  "managed",
  "managed inside interval",
  "marks at boot",
  "protection at boot",
  "pageset batch",
  "pageset high",
  "tuned high in bounds",
  "min_free_kbytes",
  "swiotlb",
  "variant marks",
  "variant protection",
  "variant pageset",
  "variant tuned high in bounds",
] as const;

export type Question = (typeof QUESTIONS)[number];

export interface Miss {
  readonly capture: string;
  readonly question: Question;
  readonly words: string;
}

export interface Score {
  readonly capture: string;
  /** e.g. "6.1 amd64". */
  readonly group: string;
  readonly counts: ReadonlyMap<Question, { equal: number; compared: number }>;
  readonly misses: readonly Miss[];
}

const HIDDEN = new Set(["zoneinfo", "buddyinfo", "pagetypeinfo"]);

/** Reads a capture of the corpus without what a plan predicts. */
export async function blindCapture(name: string): Promise<Capture> {
  const skip = (path: string): boolean => HIDDEN.has(path) || path.startsWith("sysctl/");
  return (await readCapture(captureFiles(name), { skip })).value;
}

export async function scoreCapture(name: string): Promise<Score> {
  const tally = new Tally(name);
  const files = corpusFiles(name);
  const capture = await blindCapture(name);
  const seen = readText(zoneinfoReader(), files.get("zoneinfo") ?? "").value;
  const machine = machineFromCapture(capture).value;
  if (machine === null) throw new Error(`${name}: no machine`);
  const plan = planMachine(machine).value;
  if (plan === null) throw new Error(`${name}: no plan`);
  scoreSpans(tally, "span from log", plan, seen);
  scoreParameters(tally, machine, seen);
  scoreBoot(tally, plan, seen);
  scoreSettings(tally, capture, plan);
  for (const variant of capture.variants) await scoreVariant(tally, name, variant, machine);
  return tally.score(groupOf(capture));
}

function groupOf(capture: Capture): string {
  const [major = 0, minor = 0] = capture.version?.numbers ?? [];
  return `${major}.${minor} ${capture.version?.flavour ?? "unknown"}`;
}

function scoreSpans(tally: Tally, question: Question, plan: Plan, seen: Zoneinfo): void {
  for (const [zone, planned] of pairs(plan, seen)) {
    const told = [zone.startPfn, zone.spanned, zone.present];
    tally.compare(question, zone, [planned?.startPfn, planned?.spanned, planned?.present], told);
  }
}

/** The same machine as if no log existed: spans, and the interval of managed pages. */
function scoreParameters(tally: Tally, machine: MachineInput, seen: Zoneinfo): void {
  const plan = planMachine({ ...machine, log: null }).value;
  if (plan === null) {
    tally.miss("span from parameters", "no plan from parameters alone");
    return;
  }
  scoreSpans(tally, "span from parameters", plan, seen);
  for (const [zone, planned] of pairs(plan, seen)) {
    const { low = 1, high = 0 } = planned?.managed ?? {};
    const managed = zone.managed ?? 0;
    const inside = managed >= low && managed <= high;
    const words = `${zone.name}: ${managed} is not in ${low}..${high}`;
    tally.count("managed inside interval", inside, words);
  }
}

function scoreBoot(tally: Tally, plan: Plan, seen: Zoneinfo): void {
  for (const [zone, planned] of pairs(plan, seen)) {
    tally.compare("managed", zone, [planned?.managed.pages], [zone.managed]);
    const { min, low, high } = planned?.watermarks ?? {};
    tally.compare("marks at boot", zone, [min, low, high], [zone.min, zone.low, zone.high]);
    tally.compare("protection at boot", zone, planned?.protection ?? [], zone.protection);
    scorePagesets(tally, zone, planned, {
      batch: "pageset batch",
      high: "pageset high",
      tuned: "tuned high in bounds",
    });
  }
}

function scorePagesets(
  tally: Tally,
  zone: ZoneinfoZone,
  planned: PlannedZone | undefined,
  questions: { readonly batch: Question; readonly high: Question; readonly tuned: Question },
): void {
  for (const pageset of zone.pagesets) {
    const own = planned?.pageset;
    tally.compare(questions.batch, zone, [own?.batch], [pageset.batch]);
    if (own?.tunedTo == null) {
      tally.compare(questions.high, zone, [own?.high], [pageset.high]);
      continue;
    }
    // Tuned while the machine runs: predicted are the bounds. 0 is a pageset that was never used.
    const { min, max } = own.tunedTo;
    const inside = pageset.high === 0 || (pageset.high >= min && pageset.high <= max);
    tally.count(questions.tuned, inside, `${zone.name}: ${pageset.high}, bounds ${min}..${max}`);
  }
}

function scoreSettings(tally: Tally, capture: Capture, plan: Plan): void {
  const told = capture.sysctls.get("min_free_kbytes")?.[0];
  const words = `${plan.sysctls.minFreeKbytes}, the kernel says ${told}`;
  tally.count("min_free_kbytes", told === plan.sysctls.minFreeKbytes, words);
  if (capture.swiotlb === null) return;
  const slots = plan.pools.swiotlb?.slots ?? 0;
  tally.count("swiotlb", slots === capture.swiotlb.slots, `${slots}, not ${capture.swiotlb.slots}`);
  const mapped = capture.bootLog?.swiotlb.mapped?.start;
  if (mapped === undefined) return;
  const start = plan.pools.swiotlb?.start;
  tally.count("swiotlb", start === mapped, `starts at ${start}, not ${mapped}`);
}

async function scoreVariant(
  tally: Tally,
  name: string,
  variant: string,
  machine: MachineInput,
): Promise<void> {
  const { sysctls, zoneinfo } = (await readVariant(captureFiles(name), variant)).value;
  if (zoneinfo === null) return;
  const known = new Set([
    "min_free_kbytes",
    "watermark_scale_factor",
    "lowmem_reserve_ratio",
    machine.era.policy.pageset.fractionSysctl,
  ]);
  const writes = [...sysctls].filter(([key]) => known.has(key));
  const plan = planMachine(machine, {
    sysctls: writes.map(([key, values]) => ({ name: key, values })),
  }).value;
  if (plan === null) {
    tally.miss("variant marks", `${variant}: no plan`);
    return;
  }
  for (const [zone, planned] of pairs(plan, zoneinfo)) {
    const { min, low, high } = planned?.watermarks ?? {};
    tally.compare(
      "variant marks",
      zone,
      [min, low, high],
      [zone.min, zone.low, zone.high],
      variant,
    );
    const protection = planned?.protection ?? [];
    tally.compare("variant protection", zone, protection, zone.protection, variant);
    scorePagesets(tally, zone, planned, {
      batch: "variant pageset",
      high: "variant pageset",
      tuned: "variant tuned high in bounds",
    });
  }
}

function pairs(plan: Plan, seen: Zoneinfo): [ZoneinfoZone, PlannedZone | undefined][] {
  return seen.zones.map((zone) => {
    const node = plan.nodes.find((own) => own.node === zone.node);
    return [zone, node?.zones.find((own) => own.name === zone.name)];
  });
}

type Told = number | null | undefined;

class Tally {
  readonly #capture: string;
  readonly #counts = new Map<Question, { equal: number; compared: number }>();
  readonly #misses: Miss[] = [];

  constructor(capture: string) {
    this.#capture = capture;
  }

  /** One comparison: the whole vector is equal or it is not. */
  compare(
    question: Question,
    zone: ZoneinfoZone,
    ours: readonly Told[],
    theirs: readonly Told[],
    place = "",
  ): void {
    const equal =
      ours.length === theirs.length && ours.every((n, i) => (n ?? null) === (theirs[i] ?? null));
    const words = `${place} N${zone.node}/${zone.name}: ${ours.join(" ")}, kernel ${theirs.join(" ")}`;
    this.count(question, equal, words.trim());
  }

  count(question: Question, equal: boolean, words: string): void {
    const count = this.#counts.get(question) ?? { equal: 0, compared: 0 };
    count.compared++;
    if (equal) count.equal++;
    else this.#misses.push({ capture: this.#capture, question, words });
    this.#counts.set(question, count);
  }

  miss(question: Question, words: string): void {
    this.count(question, false, words);
  }

  score(group: string): Score {
    return { capture: this.#capture, group, counts: this.#counts, misses: this.#misses };
  }
}
