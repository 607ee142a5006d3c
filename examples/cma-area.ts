// A CMA area that survives fragmentation: memory is filled with pages that may move and with pages
// that may not, in turns, and then a camera wants 8 MiB in one piece. Without the area there is no such
// block left; in the area the pages that borrowed it move away, bytes and all, unless a device holds
// one of them in place.
//
//   node examples/cma-area.ts
import process from "node:process";
import { pathToFileURL } from "node:url";
import {
  allocPages,
  bootMemory,
  bytesOf,
  cmaAlloc,
  cmaRelease,
  createCma,
  GFP_KERNEL,
  managePages,
  NO_HANDLE,
  NO_PFN,
  newPage,
  pinPage,
  touchPage,
  unpinPage,
} from "../src/mm/index.ts";

const PAGE_SIZE = 4096;
/** 32 MiB, of which 8 MiB in the upper half are the area. */
const PAGES = 8192;
const AREA = { start: 5120, end: 7168 };
/** 8 MiB, all of the area. */
const FRAME = 2048;

function isIn(pfn: number): boolean {
  return pfn >= AREA.start && pfn < AREA.end;
}

/** Runs the example; `print` takes its lines. */
export function cmaArea(print: (line: string) => unknown): void {
  const m = bootMemory({
    zones: [{ name: "Normal", startPfn: 0, pages: PAGES, holes: [AREA] }],
    cma: true,
    minFreeKbytes: 256,
    bytes: new Uint8Array(PAGES * PAGE_SIZE),
  });
  const pages = managePages(m);
  const camera = createCma(pages, "camera", AREA.start, AREA.end - AREA.start);

  // Applications and the kernel by turns, until seven tenths of memory are taken.
  const handles: number[] = [];
  for (let i = 0; i < PAGES * 0.7; i++) {
    if (i % 4 === 0) {
      allocPages(m, GFP_KERNEL, 0);
      continue;
    }
    const handle = newPage(pages, pages.gfp, "anon");
    if (handle === NO_HANDLE) break;
    bytesOf(m, touchPage(pages, handle, true), 0).fill(handle % 251);
    handles.push(handle);
  }
  const borrowed = handles.filter((handle) => isIn(touchPage(pages, handle, false))).length;
  print(`${handles.length} pages of applications, ${borrowed} of them in the camera's area`);
  print(
    `a block of 4 MiB from the free lists: ${allocPages(m, GFP_KERNEL, 10) === NO_PFN ? "none" : "there"}`,
  );

  // A device holds one of the borrowed pages in place.
  const held = handles.find((handle) => isIn(touchPage(pages, handle, false)));
  if (held === undefined) return;
  pinPage(pages, held);
  const refused = cmaAlloc(camera, FRAME, 0);
  if (refused.pfn < 0 && "message" in refused) {
    print(refused.message);
    print(`held in place: pfn ${refused.held.join(", ")}`);
  }
  unpinPage(pages, held);

  const frame = cmaAlloc(camera, FRAME, 0);
  print(
    `when it is let go: 8 MiB at pfn ${frame.pfn}, ${pages.counts.pgmigrateSuccess} pages have moved`,
  );
  const wrong = handles.filter(
    (handle) => bytesOf(m, touchPage(pages, handle, false), 0)[4095] !== handle % 251,
  ).length;
  print(`pages whose bytes have changed: ${wrong}`);
  cmaRelease(camera, frame.pfn, FRAME);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  cmaArea((line) => process.stdout.write(`${line}\n`));
}
