/**
 * Compaction, run again from its events: begin and end, what the migrate scanner
 * took, which ranges the free scanner walked, and that a place was handed out. The
 * searches of the free lists in between have no event; they are done here when the
 * kernel must have done them.
 *
 *   finished, to go on    the migrate scanner looks at the lists
 *   place wanted          none is left: the free scanner looks at the lists, then walks
 *   place handed out      the last that was taken; the recorded one where it is another
 *
 * Linux: compact_zone(), isolate_freepages(), compaction_alloc(), mm/compaction.c
 */
import {
  applySearch,
  type BlockSearch,
  COMPACT_CLUSTER,
  type CompactControl,
  type CompactZone,
  fastIsolateFreepages,
  findMigrateblock,
  newCompactZone,
} from "../mm/compaction.ts";
import { resetIsolationSuitable } from "../mm/compaction-hints.ts";
import { type Memory, pfnOf, rowOf } from "../mm/memory.ts";
import { type TakenSink, takeFast, takeRange } from "./compaction-pages.ts";
import type { ReplayEvent } from "./event.ts";

/** A task's work between two sleeps or requests. */
interface Task {
  /** The request is for movable pages. */
  readonly movable: boolean;
  readonly direct: boolean;
  readonly ignoreSkipHint: boolean;
  searchOrder: number;
  searchFails: number;
  run: Run | null;
}

interface Run extends CompactControl {
  readonly async: boolean;
  /** pfn after the zone's last. */
  readonly zoneEnd: number;
  lastMigrated: number;
  iterationStart: number;
  /** First frame of the pageblock that the migrate scanner is in, when it began there; else -1. */
  firstPfn: number;
  /** Where the iteration began, and whether its pageblock is the last one's again. */
  rescan: boolean;
  /** A place is wanted: what the free scanner does before it is handed out. */
  search: Search | null;
}

interface Search {
  /** The next walk is the one around what the lists gave. */
  around: boolean;
  stride: number;
  /** The walk broke off, and the scanner knows where it goes on. */
  broken: boolean;
}

export class Compaction {
  /** Places that were handed out otherwise than here. */
  told = 0;
  readonly #m: Memory;
  readonly #taken: TakenSink | null;
  readonly #skip: Uint8Array;
  readonly #zones: CompactZone[];
  /**
   * By zone: a direct run has seen all of it, so that kswapd clears the hints when it sleeps. It
   * may do so untold: where the migrate scanner goes shows that it has.
   */
  readonly #flush: boolean[];
  readonly #tasks: Map<number, Task> = new Map();

  /** `skip`: by row >> pageblockOrder, whether compaction passes the block over. */
  constructor(m: Memory, skip: Uint8Array, taken: TakenSink | null = null) {
    this.#m = m;
    this.#taken = taken;
    this.#skip = skip;
    this.#zones = m.names.map(newCompactZone);
    this.#flush = m.names.map(() => false);
  }

  /** The task moves pages for a request of its own now. */
  isDirect(pid: number): boolean {
    const task = this.#tasks.size === 0 ? undefined : this.#tasks.get(pid);
    return task?.direct === true && task.run !== null;
  }

  /** Some task compacts, or has. */
  get isRunning(): boolean {
    return this.#tasks.size > 0;
  }

  note(e: ReplayEvent): void {
    const task = this.#tasks.get(e.pid);
    switch (e.kind) {
      case "compact":
        this.#tasks.set(e.pid, {
          movable: e.gfp.includes("MOVABLE"),
          direct: !e.flag,
          ignoreSkipHint: e.a === 0,
          searchOrder: e.order,
          searchFails: 0,
          run: null,
        });
        return;
      case "compact-begin":
        this.#begins(e);
        return;
      case "compact-next":
        if (task?.run != null) this.#next(task, task.run, e);
        return;
      case "compact-scan":
        if (task?.run != null) this.#scanned(task.run, e);
        return;
      case "compact-moved":
        if (task?.run != null) this.#moved(task.run, e);
        return;
      case "free":
        // Its first page was isolated, and has moved: that marks a pageblock as visited.
        if (task?.run?.firstPfn === e.pfn)
          this.#skip[rowOf(this.#m, e.pfn) >> this.#m.pageblockOrder] = 1;
        return;
      case "compact-end":
        if (task?.run != null) this.#ends(task, task.run);
        return;
      case "isolate":
        this.#walked(task?.run ?? null, e);
        return;
      case "take":
        this.#place(task?.run ?? null, e);
        return;
      case "give":
        task?.run?.places.push(e.pfn);
        return;
      default:
        return;
    }
  }

  #begins(e: ReplayEvent): void {
    const task = this.#tasks.get(e.pid) ?? ownWork();
    this.#tasks.set(e.pid, task);
    const zone = this.#m.zoneStart.indexOf(e.pfn);
    task.run = {
      zone,
      zoneStart: e.pfn,
      zoneEnd: e.c,
      taken: this.#taken,
      order: task.searchOrder,
      direct: task.direct,
      movable: task.movable,
      ignoreSkipHint: task.ignoreSkipHint,
      freePfn: e.b,
      migratePfn: e.a,
      searchOrder: task.searchOrder,
      searchFails: task.searchFails,
      fastStart: 0,
      migratePages: 0,
      places: [],
      async: e.flag,
      lastMigrated: 0,
      iterationStart: 0,
      firstPfn: -1,
      rescan: false,
      search: null,
    };
    if (zone < 0) task.run = null;
  }

  #next(task: Task, run: Run, e: ReplayEvent): void {
    const m = this.#m;
    if (run.order > 0 && run.lastMigrated < alignDown(run.migratePfn, run.order)) {
      run.lastMigrated = 0;
    }
    run.order = e.order;
    run.search = null;
    if (!e.flag) {
      if (task.direct && e.a === 1) this.#flush[run.zone] = true;
      return;
    }
    // All of memory, by kcompactd itself or for compact_memory: no hint keeps it from a block.
    if (run.order <= 0) run.ignoreSkipHint = true;
    const block = m.pageblockOrder;
    run.rescan = alignDown(run.lastMigrated, block) === alignDown(run.migratePfn, block);
    run.iterationStart = run.migratePfn;
    this.#look(run, e.scansAt);
  }

  /** The migrate scanner's look at the lists, after which it goes over a block at `start`; -1 for none. */
  #look(run: Run, start: number): void {
    const m = this.#m;
    const search = findMigrateblock(m, run, this.#skip);
    if (search === null) return;
    if (this.#flush[run.zone] && start >= 0 && this.#leadsTo(run, search, this.#skip) !== start) {
      const skip = this.#skip.slice();
      const state = { ...this.#zones[run.zone] };
      resetIsolationSuitable(m, run.zone, run.zoneStart, run.zoneEnd, skip, state);
      const other = findMigrateblock(m, run, skip);
      if (other !== null && this.#leadsTo(run, other, skip) === start) {
        this.#skip.set(skip);
        this.#zones[run.zone] = state;
        this.#flush[run.zone] = false;
        applySearch(m, run, this.#skip, other);
        return;
      }
    }
    applySearch(m, run, this.#skip, search);
  }

  /** Where the scanner goes to work after a look. Linux: isolate_migratepages() */
  #leadsTo(run: Run, { row, found }: BlockSearch, skip: Uint8Array): number {
    const m = this.#m;
    const block = 2 ** m.pageblockOrder;
    if (found) return Math.max(alignDown(pfnOf(m, row), m.pageblockOrder), run.zoneStart);
    let pfn = run.fastStart > 0 ? run.fastStart : run.migratePfn;
    for (; pfn < run.zoneEnd; pfn = alignDown(pfn, m.pageblockOrder) + block) {
      const at = rowOf(m, pfn);
      if (pfn % block !== 0 || at < 0 || skip[at >> m.pageblockOrder] === 0) return pfn;
    }
    return -1;
  }

  /** The migrate scanner went over a range. Linux: isolate_migratepages_block() */
  #scanned(run: Run, e: ReplayEvent): void {
    const m = this.#m;
    const block = m.pageblockOrder;
    run.migratePfn = e.a;
    run.migratePages = e.c;
    run.search = null;
    run.firstPfn = -1;
    if (e.c > 0) run.lastMigrated = run.iterationStart;
    const row = rowOf(m, e.pfn);
    if (row < 0 || e.pfn !== alignDown(e.pfn, block)) return;
    if (!run.ignoreSkipHint) run.firstPfn = e.pfn;
    const whole = e.a === e.pfn + 2 ** block;
    if (whole && (e.c === 0 || run.rescan)) this.#skip[row >> block] = 1;
  }

  #moved(run: Run, e: ReplayEvent): void {
    run.migratePages = 0;
    run.search = null;
    if (e.b === 0 || !run.direct || !run.async) return;
    run.migratePfn = alignDown(run.migratePfn - 1, run.order) + 2 ** run.order;
    run.lastMigrated = 0;
  }

  #ends(task: Task, run: Run): void {
    task.searchOrder = run.searchOrder;
    task.searchFails = run.searchFails;
    task.run = null;
  }

  /** Before a place is handed out, when none is left. */
  #search(run: Run): Search {
    if (run.search !== null) return run.search;
    const seen = fastIsolateFreepages(this.#m, run, this.#zones[run.zone]);
    const enough = run.places.length >= run.migratePages;
    run.search = {
      around: seen >= 0 && !enough && !(run.direct && run.async),
      stride: run.async ? COMPACT_CLUSTER : 1,
      broken: run.places.length > 0,
    };
    return run.search;
  }

  /** The free scanner walked a range. Linux: isolate_freepages_block() */
  #walked(run: Run | null, e: ReplayEvent): void {
    const m = this.#m;
    if (run === null) {
      // A scan in strides, after blocks that gave nothing, looks at few frames of the range.
      if (e.c > 0 || e.b * 2 > e.a - e.pfn) takeRange(this.#m, null, e.pfn, e.a, 1, this.#taken);
      return;
    }
    const search = run.places.length === 0 || run.search !== null ? this.#search(run) : null;
    if (search === null) return;
    const stride = search.around ? 1 : search.stride;
    if (e.c > 0) takeRange(m, run, e.pfn, e.a, stride, this.#taken);
    const row = rowOf(m, e.pfn);
    const end = alignDown(e.pfn, m.pageblockOrder) + 2 ** m.pageblockOrder;
    const short = run.places.length < run.migratePages;
    if (search.around) {
      search.around = false;
      if (short && row >= 0) this.#skip[row >> m.pageblockOrder] = 1;
      search.broken = run.places.length > 0;
      return;
    }
    const whole = e.a >= end;
    if (whole && row >= 0) this.#skip[row >> m.pageblockOrder] = 1;
    search.stride = e.c > 0 ? 1 : Math.min(COMPACT_CLUSTER, search.stride * 2);
    if (short && whole) return;
    search.broken = true;
    run.freePfn = whole ? alignDown(e.pfn, m.pageblockOrder) - 2 ** m.pageblockOrder : e.a;
  }

  #place(run: Run | null, e: ReplayEvent): void {
    const m = this.#m;
    if (run !== null) {
      if (run.places.length === 0 && this.#search(run).broken === false) {
        // The walk ran into the migrate scanner's pageblock.
        run.freePfn = alignDown(run.migratePfn, m.pageblockOrder);
      }
      run.search = null;
      if (e.pfn < 0) return;
      const at = run.places.lastIndexOf(e.pfn);
      if (at !== run.places.length - 1 || at < 0) this.told++;
      if (at >= 0) run.places.splice(at, 1);
    } else this.told++;
    if (e.pfn >= 0) takeFast(m, rowOf(m, e.pfn), this.#taken);
  }
}

/** Compaction of everything: kcompactd's by itself, or somebody's who wrote to compact_memory. */
function ownWork(): Task {
  return {
    movable: false,
    direct: false,
    ignoreSkipHint: true,
    searchOrder: -1,
    searchFails: 0,
    run: null,
  };
}

function alignDown(pfn: number, order: number): number {
  return pfn - (pfn % 2 ** order);
}
