/**
 * When the boot did what changes memory without an event, by the time stamps of
 * its log, in microseconds of the clock that the trace runs on.
 *
 *   deferred   a node's late pages were handed over: `node 0 deferred pages initialised`
 *   initcalls  init_per_zone_wmark_min() comes soon after: `devtmpfs: initialized`
 *
 * Infinity for what the log does not tell.
 *
 * Linux: page_alloc_init_late(), do_basic_setup(), init/main.c
 */
import { parseLogLine } from "../formats/log-line.ts";

export interface BootMoments {
  readonly deferred: number;
  readonly initcalls: number;
}

const DEFERRED = /^node \d+ (?:deferred pages initialised in|initialised, \d+ pages in) /;
const INITCALLS = /^devtmpfs: initialized/;

export function bootMoments(log: string): BootMoments {
  let deferred = Number.POSITIVE_INFINITY;
  let initcalls = Number.POSITIVE_INFINITY;
  for (const text of log.split("\n")) {
    const { time, message } = parseLogLine(text);
    if (time === null) continue;
    const micros = Math.round(time * 1e6);
    if (DEFERRED.test(message)) deferred = Math.min(deferred, micros);
    else if (INITCALLS.test(message)) initcalls = Math.min(initcalls, micros);
  }
  return { deferred, initcalls };
}
