// A lesson on the buddy allocator: 64 pages are split and merged again, and after every step
// /proc/buddyinfo of this small machine is printed. A column is an order: blocks of 1, 2, 4 … pages.
//
//   node examples/buddy-lesson.ts
import process from "node:process";
import { pathToFileURL } from "node:url";
import { writeBuddyinfo } from "../src/formats/index.ts";
import {
  allocPages,
  bootMemory,
  buddyinfoOf,
  explainRefusal,
  freePages,
  GFP_KERNEL,
  NO_PFN,
} from "../src/mm/index.ts";

/** Runs the lesson; `print` takes its lines. */
export function buddyLesson(print: (line: string) => unknown): void {
  // The rules of 2.6: one list an order, no mobility, nothing but the buddy to be seen.
  const m = bootMemory({
    era: "2.6",
    zones: [{ name: "DMA", startPfn: 0, pages: 64 }],
    maxOrder: 6,
    minFreeKbytes: 0,
  });
  const show = (what: string): void => {
    print(what);
    print(writeBuddyinfo(buddyinfoOf(m)).trimEnd());
  };

  show("64 pages, free: one block of order 6.");

  const four = allocPages(m, GFP_KERNEL, 2);
  show(`4 pages are wanted: the block is halved until one fits, pfn ${four}.`);

  const eight = allocPages(m, GFP_KERNEL, 3);
  show(`8 pages: a block of just that size is there, pfn ${eight}.`);

  freePages(m, four, 2);
  show("The 4 are given back. Their buddy is free: they merge; the next buddy, the 8, is not.");

  const six = explainRefusal(m, GFP_KERNEL, 6).at(-1);
  print("64 pages at once?");
  print(allocPages(m, GFP_KERNEL, 6) === NO_PFN ? (six?.text ?? "") : "granted");

  freePages(m, eight, 3);
  show("The 8 are given back: buddy after buddy is free, and the first block is whole again.");
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  buddyLesson((line) => process.stdout.write(`${line}\n`));
}
