/** Jobs to all cores and answers back, as they come. Few jobs are done right here. */
import { availableParallelism } from "node:os";
import { type AuditAnswer, type AuditJob, answer, startWorker } from "./audit-worker.ts";
import { openParser } from "./c-parser.ts";

/** Jobs a worker gets at a time: large enough to hide the way, small enough to end together. */
const BATCH = 32;
/** Fewer jobs are done before a worker has started. */
const WORTH_WORKERS = 48;

/** Calls `take` with each answer; rejects when a worker ends by itself. */
export async function answerAll(
  jobs: readonly AuditJob[],
  take: (answer: AuditAnswer) => void,
): Promise<void> {
  if (jobs.length === 0) return;
  if (jobs.length < WORTH_WORKERS) {
    const parse = await openParser();
    for (const job of jobs) take(await answer(job, parse));
    return;
  }
  const count = Math.min(availableParallelism(), Math.ceil(jobs.length / BATCH));
  let next = 0;
  const work = (): Promise<void> =>
    new Promise((done, fail) => {
      const worker = startWorker();
      let isDone = false;
      worker.on("error", fail);
      worker.on("exit", () => (isDone ? done() : fail(new Error("an audit worker ended"))));
      worker.on("message", (answers: readonly AuditAnswer[]) => {
        for (const one of answers) take(one);
        const batch = jobs.slice(next, next + BATCH);
        next += batch.length;
        if (batch.length > 0) worker.postMessage(batch);
        else {
          isDone = true;
          void worker.terminate();
        }
      });
    });
  await Promise.all(Array.from({ length: count }, work));
}
