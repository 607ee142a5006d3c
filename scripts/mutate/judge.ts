/**
 * Is a fault noticed? Types are asked first, because they answer at once; then the tests that are
 * meant to notice, and when none does, all others that load the file. What has noticed much in
 * little time is asked earlier: that moves no verdict, only the time until it.
 */
import { basename } from "node:path";
import type { Mutation } from "./operators.ts";
import { Reach } from "./reach.ts";
import type { Verdict, Workplace } from "./workplace.ts";

/** Times that a test may take longer with a fault than without, on top of the patience. */
const SLOWER = 4;
const CLEAN_LIMIT_MS = 600_000;

/** Who noticed. */
export type Judgement = "types" | "tests" | "other tests" | "nobody";

interface Record {
  readonly ms: number;
  readonly passed: boolean;
  tried: number;
  caught: number;
}

export class Judge {
  readonly #reach: Reach;
  readonly #tests: readonly string[];
  readonly #rest: readonly string[];
  readonly #patienceMs: number;
  /** How each test fares without a fault, from when it is first needed. */
  readonly #records = new Map<string, Promise<Record>>();

  constructor(root: string, tests: readonly string[], rest: readonly string[], patience: number) {
    this.#reach = new Reach(root);
    this.#tests = tests;
    this.#rest = rest.filter((test) => !tests.includes(test));
    this.#patienceMs = patience * 1000;
  }

  /** Runs all tests of the first kind without a fault; the first that fails, or null. */
  async firstBroken(places: readonly Workplace[]): Promise<string | null> {
    const waiting = [...this.#tests];
    const broken: string[] = [];
    const work = async (place: Workplace): Promise<void> => {
      for (let test = waiting.shift(); test !== undefined; test = waiting.shift()) {
        if (!(await this.#recordOf(test, place)).passed) broken.push(test);
      }
    };
    await Promise.all(places.map(work));
    return broken[0] ?? null;
  }

  async judge(
    mutation: Mutation,
    place: Workplace,
    sound: string,
    faulty: string,
  ): Promise<Judgement> {
    const { file } = mutation;
    place.write(file, faulty);
    try {
      if (!(await place.compiles(file))) return "types";
      const reaching = this.#tests.filter((test) => this.#reach.leads(test, file));
      for (const test of await this.#inOrder(reaching, file)) {
        if ((await this.#try(test, place)) !== "passed") return "tests";
      }
      for (const test of this.#rest) {
        if (!this.#reach.leads(test, file)) continue;
        if (!this.#records.has(test)) {
          place.write(file, sound);
          await this.#recordOf(test, place);
          place.write(file, faulty);
        }
        const { passed } = await this.#recordOf(test, place);
        if (passed && (await this.#try(test, place)) !== "passed") return "other tests";
      }
      return "nobody";
    } finally {
      place.write(file, sound);
    }
  }

  #recordOf(test: string, place: Workplace): Promise<Record> {
    let record = this.#records.get(test);
    if (record === undefined) {
      const started = performance.now();
      record = place.test(test, CLEAN_LIMIT_MS).then((verdict) => {
        const ms = performance.now() - started;
        return { ms, passed: verdict === "passed", tried: 0, caught: 0 };
      });
      this.#records.set(test, record);
    }
    return record;
  }

  async #try(test: string, place: Workplace): Promise<Verdict> {
    const record = await this.#recordOf(test, place);
    const verdict = await place.test(test, record.ms * SLOWER + this.#patienceMs);
    record.tried++;
    if (verdict !== "passed") record.caught++;
    return verdict;
  }

  /** Those named after the file first, then by how likely they notice in how much time. */
  async #inOrder(tests: readonly string[], file: string): Promise<string[]> {
    const stem = basename(file, ".ts");
    const scores = new Map<string, number>();
    for (const test of tests) {
      const record = await this.#records.get(test);
      if (record === undefined) continue;
      const share = (record.caught + 1) / (record.tried + 2);
      const isNamesake = basename(test).startsWith(`${stem}.`);
      scores.set(test, isNamesake ? Number.POSITIVE_INFINITY : share / record.ms);
    }
    return [...scores].sort(([, x], [, y]) => (x === y ? 0 : y - x)).map(([test]) => test);
  }
}
