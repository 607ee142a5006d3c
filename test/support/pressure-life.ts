// A machine whose pages are reclaimed, swapped, moved and lent, and a table of what each page should say.
import { strict as expect } from "node:assert";
import { allocPages, freePages } from "../../src/mm/allocate.ts";
import { parseGfp } from "../../src/mm/gfp-text.ts";
import {
  addOwner,
  bootMemory,
  bytesOf,
  type CmaArea,
  cmaAlloc,
  cmaRelease,
  compactZone,
  createCma,
  disownPages,
  dropPage,
  lockPage,
  type Memory,
  MemoryStore,
  managePages,
  NO_HANDLE,
  NO_PFN,
  newPage,
  offlinePages,
  onlinePages,
  ownPages,
  type Pages,
  pinPage,
  runKcompactd,
  runKswapd,
  touchPage,
  unlockPage,
  unpinPage,
  usePressure,
  verifyPages,
} from "../../src/mm/index.ts";
import { verify } from "../../src/mm/verify.ts";
import type { Dice } from "./dice.ts";

const PAGE = 1024;
const PAGES = 640;
/** Pages of a pageblock. */
const BLOCK = 32;
const CMA_BASE = 512;
export const CMA_PAGES = 64;

export interface Life {
  readonly m: Memory;
  readonly pages: Pages;
  readonly area: CmaArea;
  readonly gfp: { readonly kernel: number; readonly atomic: number };
}

export function machine(era: string, slots: number, migration: boolean): Life {
  const cma = { start: CMA_BASE, end: CMA_BASE + CMA_PAGES };
  const m = bootMemory({
    era,
    pageSize: PAGE,
    maxOrder: 6,
    pageblockOrder: 5,
    cma: true,
    minFreeKbytes: 32,
    bytes: new Uint8Array(PAGES * PAGE),
    zones: [
      { name: "DMA", startPfn: 0, pages: 128 },
      { name: "Normal", startPfn: 128, pages: PAGES - 128, holes: [cma] },
    ],
  });
  const store = new MemoryStore(slots, PAGE);
  const pages = managePages(m, { store, migration });
  usePressure(pages);
  const area = createCma(pages, "test", CMA_BASE, CMA_PAGES);
  const bits = (text: string): number => parseGfp(text, m.gfp.era).value;
  const gfp = { kernel: bits("GFP_KERNEL"), atomic: bits("GFP_ATOMIC") };
  return { m, pages, area, gfp };
}

export type Step =
  | { readonly make: "anon" | "file"; readonly count: number }
  | { readonly write: number }
  | { readonly read: number }
  | { readonly drop: number }
  | { readonly pin: number }
  | { readonly unpin: number }
  | { readonly lock: number }
  | { readonly unlock: number }
  | { readonly kernel: number; readonly atomic: boolean }
  | { readonly free: number }
  | { readonly own: number }
  | { readonly disown: number }
  | { readonly cma: number; readonly align: number }
  | { readonly release: number }
  | { readonly compact: number }
  | { readonly offline: number }
  | { readonly online: number }
  | "kswapd"
  | "kcompactd";

/** What each page should say, and who holds what. */
export class Reference {
  readonly life: Life;
  readonly said = new Map<number, number>();
  readonly pinned: number[] = [];
  readonly locked: number[] = [];
  readonly kernel: { pfn: number; order: number }[] = [];
  readonly owned: { pfn: number; order: number; value: number }[] = [];
  readonly ranges: { pfn: number; count: number }[] = [];
  readonly owner: number;
  readonly offline: number[] = [];
  #next = 1;

  constructor(life: Life) {
    this.life = life;
    this.owner = addOwner(life.pages, {
      name: "test",
      moved: (from, to) => {
        const own = this.owned.find((block) => block.pfn === from);
        expect.ok(own, "a block that it does not have was moved");
        own.pfn = to;
        return true;
      },
      mayFree: (pfn) => {
        const at = this.owned.findIndex((block) => block.pfn === pfn);
        expect.ok(at >= 0, "a block that it does not have was asked for");
        this.owned.splice(at, 1);
        return true;
      },
    });
  }

  run(own: Step): void {
    const { m, pages, area } = this.life;
    if (own === "kswapd") runKswapd(pages);
    else if (own === "kcompactd") runKcompactd(pages);
    else if ("make" in own) {
      // Who is refused has tried all that a kernel tries: once is enough.
      for (let i = 0; i < own.count && this.#make(own.make); i++);
    } else if ("write" in own) this.#write(pick([...this.said.keys()], own.write));
    else if ("read" in own) this.read(pick([...this.said.keys()], own.read));
    else if ("drop" in own) this.#drop(pick([...this.said.keys()], own.drop));
    else if ("pin" in own) this.#hold(pick([...this.said.keys()], own.pin), this.pinned, pinPage);
    else if ("unpin" in own) this.#release(this.pinned, own.unpin, unpinPage);
    else if ("lock" in own) {
      const handle = pick([...this.said.keys()], own.lock);
      if (handle !== undefined && !this.locked.includes(handle))
        this.#hold(handle, this.locked, lockPage);
    } else if ("unlock" in own) this.#release(this.locked, own.unlock, unlockPage);
    else if ("kernel" in own) {
      const pfn = allocPages(m, this.life.gfp[own.atomic ? "atomic" : "kernel"], own.kernel);
      if (pfn !== NO_PFN) this.kernel.push({ pfn, order: own.kernel });
    } else if ("free" in own) {
      const [block] = this.kernel.splice(own.free % Math.max(this.kernel.length, 1), 1);
      if (block !== undefined) freePages(m, block.pfn, block.order);
    } else if ("own" in own) this.#own(own.own);
    else if ("disown" in own) {
      const [block] = this.owned.splice(own.disown % Math.max(this.owned.length, 1), 1);
      if (block === undefined) return;
      disownPages(pages, block.pfn);
      freePages(m, block.pfn, block.order);
    } else if ("cma" in own) {
      const answer = cmaAlloc(area, own.cma, own.align);
      if (answer.pfn < 0) return;
      expect.equal(answer.pfn % 2 ** own.align, 0);
      this.ranges.push({ pfn: answer.pfn, count: own.cma });
      for (let i = 0; i < own.cma; i++) bytesOf(m, answer.pfn + i, 0).fill(0xee);
    } else if ("release" in own) {
      const [range] = this.ranges.splice(own.release % Math.max(this.ranges.length, 1), 1);
      if (range !== undefined) cmaRelease(area, range.pfn, range.count);
    } else if ("offline" in own) {
      const pfn = 128 + BLOCK * (own.offline % ((CMA_BASE - 128) / BLOCK));
      if (this.offline.includes(pfn)) return;
      if (offlinePages(pages, pfn, BLOCK).done) this.offline.push(pfn);
    } else if ("online" in own) {
      const [pfn] = this.offline.splice(own.online % Math.max(this.offline.length, 1), 1);
      if (pfn !== undefined) onlinePages(pages, pfn, BLOCK);
    } else compactZone(pages, 1, own.compact);
  }

  #make(kind: "anon" | "file"): boolean {
    const handle = newPage(this.life.pages, this.life.pages.gfp, kind);
    if (handle === NO_HANDLE) return false;
    expect.equal(this.said.has(handle), false);
    this.said.set(handle, 0);
    this.#write(handle);
    return true;
  }

  #write(handle: number | undefined): void {
    if (handle === undefined) return;
    const pfn = touchPage(this.life.pages, handle, true);
    if (pfn === NO_PFN) return;
    const value = this.#next++ & 0xff || 1;
    bytesOf(this.life.m, pfn, 0).fill(value);
    this.said.set(handle, value);
  }

  read(handle: number | undefined): void {
    if (handle === undefined) return;
    const pfn = touchPage(this.life.pages, handle, false);
    if (pfn === NO_PFN) return;
    expectBytes(this.life.m, pfn, 0, this.said.get(handle) ?? 0);
  }

  #drop(handle: number | undefined): void {
    if (handle === undefined || this.pinned.includes(handle)) return;
    const at = this.locked.indexOf(handle);
    if (at >= 0) this.locked.splice(at, 1);
    dropPage(this.life.pages, handle);
    this.said.delete(handle);
  }

  #hold(
    handle: number | undefined,
    list: number[],
    hold: (pages: Pages, handle: number) => number,
  ): void {
    if (handle !== undefined && hold(this.life.pages, handle) >= 0) list.push(handle);
  }

  #release(list: number[], at: number, release: (pages: Pages, handle: number) => void): void {
    const [handle] = list.splice(at % Math.max(list.length, 1), 1);
    if (handle !== undefined) release(this.life.pages, handle);
  }

  #own(order: number): void {
    const { m, pages } = this.life;
    const pfn = allocPages(m, pages.gfp, order);
    if (pfn === NO_PFN) return;
    const value = this.#next++ & 0xff;
    bytesOf(m, pfn, order).fill(value);
    ownPages(pages, pfn, this.owner);
    this.owned.push({ pfn, order, value });
  }

  check(): void {
    const { m, pages } = this.life;
    expect.deepEqual(verify(m), []);
    expect.deepEqual(verifyPages(pages), []);
    for (const { pfn, order, value } of this.owned) expectBytes(m, pfn, order, value);
    for (const { pfn, count } of this.ranges) {
      for (let i = 0; i < count; i++) expectBytes(m, pfn + i, 0, 0xee);
    }
  }

  end(): void {
    for (const handle of this.said.keys()) this.read(handle);
    this.check();
  }
}

function pick(from: readonly number[], at: number): number | undefined {
  return from[at % Math.max(from.length, 1)];
}

function expectBytes(m: Memory, pfn: number, order: number, value: number): void {
  const bytes = bytesOf(m, pfn, order);
  expect.equal(bytes[0], value);
  expect.equal(bytes[bytes.length - 1], value);
}

/** A step of a long life. */
export function drawStep(dice: Dice): Step {
  const at = dice.roll(2 ** 30);
  switch (dice.roll(26)) {
    case 24:
      return dice.roll(4) === 0 ? { offline: at } : { online: at };
    case 25:
      return { online: at };
    case 0:
    case 1:
      return { make: dice.roll(2) === 0 ? "anon" : "file", count: 1 + dice.roll(4) };
    case 2:
    case 3:
      return { drop: at };
    case 4:
      return { pin: at };
    case 5:
    case 6:
      return { unpin: at };
    case 7:
      return { lock: at };
    case 8:
    case 9:
      return { unlock: at };
    case 10:
      return { kernel: dice.roll(5), atomic: dice.roll(2) === 0 };
    case 11:
    case 12:
      return { free: at };
    case 13:
      return { own: dice.roll(3) };
    case 14:
      return { disown: at };
    case 15:
      return { cma: 1 + dice.roll(CMA_PAGES), align: dice.roll(6) };
    case 16:
    case 17:
      return { release: at };
    case 18:
      if (dice.roll(4) === 0) return "kcompactd";
      return dice.roll(20) === 0 ? { compact: dice.roll(8) - 1 } : "kswapd";
    case 19:
    case 20:
      return { write: at };
    default:
      return { read: at };
  }
}
