// The reference of the DMA layer: a machine without limits. Buffers have bytes, everybody sees the
// same ones at once, and nothing has to be mapped. Programs that keep the rules of the DMA API must
// not be able to tell a real machine from it.

export class IdealMachine {
  readonly #buffers = new Map<number, Uint8Array>();

  add(buffer: number, size: number): void {
    this.#buffers.set(buffer, new Uint8Array(size));
  }

  drop(buffer: number): void {
    this.#buffers.delete(buffer);
  }

  write(buffer: number, offset: number, bytes: Uint8Array): void {
    this.#bytes(buffer).set(bytes, offset);
  }

  read(buffer: number, offset: number, length: number): Uint8Array {
    return this.#bytes(buffer).slice(offset, offset + length);
  }

  #bytes(buffer: number): Uint8Array {
    const bytes = this.#buffers.get(buffer);
    if (bytes === undefined) throw new Error(`no buffer ${buffer}`);
    return bytes;
  }
}
