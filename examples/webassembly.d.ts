// What the examples use of WebAssembly, which neither ECMAScript's library nor Node's types declare.
declare namespace WebAssembly {
  class Memory {
    /** Sizes in pages of 64 KiB. */
    constructor(size: { initial: number; maximum?: number });
    /** Another one after each `grow`; the old one is empty then. */
    readonly buffer: ArrayBuffer;
    grow(pages: number): number;
  }
}
