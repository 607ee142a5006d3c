/** What long work needs of the machine: a file written as it goes, turns for others, Ctrl-C. */
import { type FileHandle, open } from "node:fs/promises";
import process from "node:process";
import { inputErrorOf } from "./bytes.ts";

/** Lines to a file, held back until `flush`. */
export class LineWriter {
  readonly #file: FileHandle;
  #held: string[] = [];

  constructor(file: FileHandle) {
    this.#file = file;
  }

  write(line: string): void {
    this.#held.push(line);
  }

  /** Rejects with the system's error when the file cannot take it. */
  async flush(): Promise<void> {
    if (this.#held.length === 0) return;
    const text = this.#held.join("");
    this.#held = [];
    await this.#file.write(text);
  }

  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      await this.#file.close();
    }
  }
}

/** A new or emptied file. Throws an `InputError` where it cannot be written. */
export async function lineWriter(path: string): Promise<LineWriter> {
  try {
    return new LineWriter(await open(path, "w"));
  } catch (error) {
    throw inputErrorOf(error);
  }
}

/** Items of a list between a head and a tail: a whole file after each flush, however the program ends. */
export class ListWriter {
  readonly #file: FileHandle;
  readonly #tail: string;
  /** Where the next item goes: bytes from the start. */
  #at: number;
  #held: string[] = [];
  #isFirst = true;

  constructor(file: FileHandle, headBytes: number, tail: string) {
    this.#file = file;
    this.#at = headBytes;
    this.#tail = tail;
  }

  write(item: string): void {
    this.#held.push(this.#isFirst ? item : `,\n${item}`);
    this.#isFirst = false;
  }

  /** Rejects with the system's error when the file cannot take it. */
  async flush(): Promise<void> {
    if (this.#held.length === 0) return;
    const items = Buffer.from(this.#held.join(""));
    this.#held = [];
    await this.#file.write(Buffer.concat([items, Buffer.from(this.#tail)]), 0, null, this.#at);
    this.#at += items.length;
  }

  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      await this.#file.close();
    }
  }
}

/** A new or emptied file. Throws an `InputError` where it cannot be written. */
export async function listWriter(path: string, head: string, tail: string): Promise<ListWriter> {
  try {
    const file = await open(path, "w");
    await file.write(head + tail, 0);
    return new ListWriter(file, Buffer.byteLength(head), tail);
  } catch (error) {
    throw inputErrorOf(error);
  }
}

export interface Interruption {
  readonly asked: () => boolean;
  /** Ctrl-C ends the program again. */
  readonly end: () => void;
}

/** Until `end`, the first Ctrl-C only asks to stop; a second one ends the program. */
export function interruption(): Interruption {
  let asked = false;
  const onSignal = (): void => {
    asked = true;
    process.off("SIGINT", onSignal);
  };
  process.on("SIGINT", onSignal);
  return { asked: () => asked, end: () => void process.off("SIGINT", onSignal) };
}

/** Lets signals and streams have their turn. */
export function yieldTurn(): Promise<void> {
  return new Promise((resume) => void setImmediate(resume));
}
