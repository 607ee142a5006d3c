/**
 * /proc/zoneinfo in the middle of a log: of each zone the sizes that a watermark check reads. People
 * paste it where kswapd does not sleep, with no report of any failure.
 *
 *   Node 0, zone   Normal
 *     pages free     12
 *           min      3
 *           …
 *           managed  9
 */
import type { ZoneSizes } from "./failure-message.ts";

const HEADING = /^Node (\d{1,4}), zone +([A-Z]\w{1,11})$/;
const SIZE = /^(?:pages )?(free|min|low|high|present|managed) +(\d{1,12})$/;
/** Whatever else the table has: counters, pagesets, protection. */
const ROW =
  /^(?:pages |per-node stats|pagesets|protection: ?\(|cpu: \d|\w[\w ()-]*:? +-?\d|[a-z_]+: \d|vm stats threshold)/;
const LINES_MAX = 4000;
const ZONES_MAX = 256;

interface Draft {
  readonly node: number;
  readonly name: string;
  readonly line: number;
  readonly sizes: Map<string, number>;
}

export class ZoneTableCollector {
  readonly #zones: Draft[] = [];
  #lines = 0;

  /** Whether a line begins a table. */
  static opens(text: string): boolean {
    return HEADING.test(text);
  }

  /** False when the table ended before this line. */
  take(text: string, line: number): boolean {
    if (++this.#lines > LINES_MAX) return false;
    const heading = HEADING.exec(text);
    if (heading !== null) {
      const [, node = "0", name = ""] = heading;
      if (this.#zones.length >= ZONES_MAX) return false;
      this.#zones.push({ node: Number(node), name, line, sizes: new Map() });
      return true;
    }
    const size = SIZE.exec(text);
    const own = this.#zones.at(-1)?.sizes;
    // A pageset has a "high" of its own, behind the zone's.
    if (size?.[1] !== undefined && own !== undefined && !own.has(size[1])) {
      own.set(size[1], Number(size[2]));
    }
    return size !== null || text === "" || ROW.test(text);
  }

  /** Zones with sizes; pages. */
  end(): ZoneSizes[] {
    return this.#zones.flatMap(({ node, name, line, sizes }) => {
      const of = (key: string): number | null => sizes.get(key) ?? null;
      const managed = of("managed") ?? of("present");
      if (managed === null || of("free") === null) return [];
      const { free, low, high } = { free: of("free"), low: of("low"), high: of("high") };
      return [{ node, name, line, free, min: of("min"), low, high, managed }];
    });
  }
}
