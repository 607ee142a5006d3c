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
