/** What the command line hands to each of its commands. */
import type { Style, Terminal } from "./terminal.ts";

/** What a command gets, and where it leaves its exit code. */
export interface Context {
  readonly terminal: Terminal;
  /** How to draw, once the options are known. */
  readonly style: () => Style;
  /** A screen as it is; anything else as JSON. */
  readonly print: (result: string | object) => void;
  /** Of this program. */
  readonly version: string;
  exitCode: number;
}
