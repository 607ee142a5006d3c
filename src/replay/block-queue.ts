export interface Block {
  readonly pfn: number;
  readonly order: number;
  readonly type: number;
}

/** Blocks in the order they came, as plain numbers: a replay has two for every few events. */
export class BlockQueue {
  #pfn = new Float64Array(64);
  /** order << 8 | type + 1, so that no type (-1) fits too. */
  #what = new Int32Array(64);
  #first = 0;
  #end = 0;

  get length(): number {
    return this.#end - this.#first;
  }

  push(pfn: number, order: number, type: number): void {
    if (this.#end === this.#pfn.length) this.#makeRoom();
    this.#pfn[this.#end] = pfn;
    this.#what[this.#end] = (order << 8) | (type + 1);
    this.#end++;
  }

  /** Whether the first block is this one. There must be one. */
  startsWith(pfn: number, order: number, type: number): boolean {
    const at = this.#first;
    return this.#pfn[at] === pfn && this.#what[at] === ((order << 8) | (type + 1));
  }

  /** How many blocks both begin with alike. */
  alikeWith(other: BlockQueue): number {
    const most = Math.min(this.length, other.length);
    let alike = 0;
    while (alike < most) {
      const at = this.#first + alike;
      const there = other.#first + alike;
      if (this.#pfn[at] !== other.#pfn[there] || this.#what[at] !== other.#what[there]) break;
      alike++;
    }
    return alike;
  }

  shift(blocks = 1): void {
    this.#first += blocks;
    if (this.#first === this.#end) this.clear();
  }

  /** Takes all blocks out, in order. */
  take(): Block[] {
    const blocks = this.copy();
    this.clear();
    return blocks;
  }

  clear(): void {
    this.#first = 0;
    this.#end = 0;
  }

  /** Takes the block out, wherever it is. Returns whether it was there. */
  remove(pfn: number, order: number): boolean {
    for (let at = this.#first; at < this.#end; at++) {
      if (this.#pfn[at] !== pfn || this.#what[at] >> 8 !== order) continue;
      this.#pfn.copyWithin(at, at + 1, this.#end);
      this.#what.copyWithin(at, at + 1, this.#end);
      this.#end--;
      return true;
    }
    return false;
  }

  copy(): Block[] {
    const blocks: Block[] = [];
    for (let at = this.#first; at < this.#end; at++) {
      const what = this.#what[at];
      blocks.push({ pfn: this.#pfn[at], order: what >> 8, type: (what & 0xff) - 1 });
    }
    return blocks;
  }

  /** The first block in words, "none" when there is none. */
  firstWords(): string {
    if (this.length === 0) return "none";
    const what = this.#what[this.#first];
    return blockWords(this.#pfn[this.#first], what >> 8, (what & 0xff) - 1);
  }

  #makeRoom(): void {
    if (this.#first > this.#end >> 1) {
      this.#pfn.copyWithin(0, this.#first, this.#end);
      this.#what.copyWithin(0, this.#first, this.#end);
    } else {
      const pfn = new Float64Array(2 * this.#pfn.length);
      const what = new Int32Array(2 * this.#what.length);
      pfn.set(this.#pfn.subarray(this.#first, this.#end));
      what.set(this.#what.subarray(this.#first, this.#end));
      this.#pfn = pfn;
      this.#what = what;
    }
    this.#end -= this.#first;
    this.#first = 0;
  }
}

export function blockWords(pfn: number, order: number, type: number): string {
  return `0x${pfn.toString(16)} of order ${order}, type ${type}`;
}
