/** Which pages of a CMA area are taken, and the kernel's search in it: first fit, aligned. */
export class CmaBits {
  readonly pages: number;
  /** Taken pages. */
  used = 0;
  readonly #taken: Uint8Array;

  constructor(pages: number) {
    this.pages = pages;
    this.#taken = new Uint8Array(pages);
  }

  /** First of `count` free pages, a multiple of `align`; -1 for none. Linux: bitmap_find_next_zero_area_off() */
  find(count: number, align: number): number {
    let at = 0;
    while (at + count <= this.pages) {
      const last = this.#taken.subarray(at, at + count).lastIndexOf(1);
      if (last < 0) return at;
      at = Math.ceil((at + last + 1) / align) * align;
    }
    return -1;
  }

  set(at: number, count: number): void {
    this.#fill(at, count, 1);
  }

  clear(at: number, count: number): void {
    this.#fill(at, count, 0);
  }

  #fill(at: number, count: number, value: 0 | 1): void {
    const end = Math.min(at + count, this.pages);
    for (let page = at; page < end; page++) {
      this.used += value - this.#taken[page];
      this.#taken[page] = value;
    }
  }
}
