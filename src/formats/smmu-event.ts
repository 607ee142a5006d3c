/**
 * An event of SMMUv3 as the kernel logs it: a heading, then the record's four words on a line each,
 * which lines of others may come between; since 6.14 two lines more that say it in words.
 *
 *   arm-smmu-v3 arm-smmu-v3.1.auto: event 0x10 received:
 *   arm-smmu-v3 arm-smmu-v3.1.auto:         0x00007d0000000010    event, stream
 *   arm-smmu-v3 arm-smmu-v3.1.auto:         0x0000020900000080    bits of the access
 *   arm-smmu-v3 arm-smmu-v3.1.auto:         0x00000000f47cf000    address
 *   arm-smmu-v3 arm-smmu-v3.1.auto:         0x00000000f47cf000    second stage's address, or a fetch's
 *   arm-smmu-v3 …: event: F_TRANSLATION client: 0000:7d:00.0 sid: 0x7d00 … iova: 0xf47cf000 ipa: …
 *   arm-smmu-v3 …: unpriv data write s1 "Input address caused fault" stag: 0x80
 *
 * Linux: arm_smmu_evtq_thread(), arm_smmu_dump_event(), EVTQ_*, drivers/iommu/arm/arm-smmu-v3/
 */
import type { IommuFault } from "./failure-message.ts";
import { deviceOf, hexadecimal } from "./failure-sentences.ts";

/** Words of a record, and lines in which they and what says them may be. */
const WORDS = 4;
const LINES = 16;

const HEADING = /^(.{0,200}?):? ?event 0x[0-9a-f]{2} received:/;
/** A client may have broken a word at its middle; nothing follows it. */
const WORD = /0x([0-9a-f]{8}) ?([0-9a-f]{8})$/;
const DECODED = /event: [FC]_\w+ client: /;
const ACCESS = /\b(?:un)?priv (?:inst|data) (read|write)\b/;

/** What a heading's own lines are told by. */
export class SmmuEventLines {
  readonly #prefix: string;
  #words = 0;
  #seen = 0;
  #ended = false;

  private constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** Null where the line is no heading. */
  static open(text: string): SmmuEventLines | null {
    const heading = HEADING.exec(text);
    return heading === null ? null : new SmmuEventLines(heading[1] ?? "");
  }

  /** Whether the line belongs to the event; others may come between. */
  take(text: string): boolean {
    this.#seen++;
    const own = text.startsWith(this.#prefix);
    if (own && this.#words < WORDS && WORD.test(text)) {
      this.#words++;
      return true;
    }
    if (!own || this.#words < WORDS) return false;
    if (ACCESS.test(text)) this.#ended = true;
    return this.#ended || DECODED.test(text);
  }

  /** Whether a line that has a sentence's words of its own is this event's in other words. */
  says(text: string): boolean {
    return this.#words === WORDS && text.startsWith(this.#prefix) && DECODED.test(text);
  }

  /** Nothing more can come. */
  get whole(): boolean {
    return this.#ended || this.#seen >= LINES;
  }
}

/** Events whose third word is the address that the device used. */
const WITH_ADDRESS: ReadonlySet<number> = new Set([
  0x01, 0x05, 0x07, 0x0b, 0x10, 0x11, 0x12, 0x13, 0x20, 0x24,
]);
/** EVTQ_1_RnW: a read. */
const READ = 1n << 35n;

type Facts = Pick<IommuFault, "device" | "address" | "access" | "stream">;

/** What an event's lines, in one, tell after the heading; `device` is the SMMU's own name. */
export function smmuFacts(event: number | null, device: string | undefined, rest: string): Facts {
  const words = [...rest.matchAll(/0x([0-9a-f]{8}) ?([0-9a-f]{8})\b/g)].map(
    ([, high = "", low = ""]) => hexadecimal(high + low),
  );
  const [head, access, address] = words;
  const told = ACCESS.exec(rest)?.[1];
  const reaches = event !== null && WITH_ADDRESS.has(event);
  const client = /client: (?!\(unassigned)(\S{1,40}) sid:/.exec(rest)?.[1];
  return {
    device: deviceOf(client ?? device),
    address: reaches ? (address ?? 0n) : 0n,
    access: reaches ? accessOf(access, told) : null,
    stream: head === undefined ? null : Number(head >> 32n),
  };
}

function accessOf(word: bigint | undefined, told: string | undefined): "read" | "write" | null {
  if (told === "read" || told === "write") return told;
  if (word === undefined) return null;
  return (word & READ) === 0n ? "write" : "read";
}
