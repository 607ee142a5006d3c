/**
 * What the command line talks to: two streams, a width, an environment. Tests
 * hand in their own; `main.ts` hands in the process's.
 */

export interface Terminal {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Columns of standard output; null when it is no terminal. */
  readonly columns: number | null;
  /** Columns of standard error, for progress; null or absent when it is no terminal. */
  readonly errColumns?: number | null;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: () => AsyncIterable<Uint8Array | string>;
}

/** How a screen is drawn. */
export interface Style {
  readonly width: number;
  readonly colour: boolean;
  readonly unicode: boolean;
}

export type ColourChoice = "auto" | "always" | "never";

const MIN_WIDTH = 60;
const MAX_WIDTH = 160;
/** Where nobody says: pipes and files. */
const DEFAULT_WIDTH = 100;

/** Follows the terminal, NO_COLOR, FORCE_COLOR, COLUMNS and the locale. */
export function styleOf(terminal: Terminal, choice: ColourChoice): Style {
  const { env } = terminal;
  const asked = Number(env["COLUMNS"] ?? "");
  const columns =
    terminal.columns ?? (Number.isInteger(asked) && asked > 0 ? asked : DEFAULT_WIDTH);
  return {
    width: Math.min(MAX_WIDTH, Math.max(MIN_WIDTH, columns)),
    colour: choice === "always" || (choice === "auto" && wantsColour(terminal)),
    unicode: speaksUnicode(env),
  };
}

/** https://no-color.org: any value but an empty one. */
function wantsColour({ env, columns }: Terminal): boolean {
  if ((env["NO_COLOR"] ?? "") !== "") return false;
  if ((env["FORCE_COLOR"] ?? "") !== "" && env["FORCE_COLOR"] !== "0") return true;
  return columns !== null && env["TERM"] !== "dumb";
}

/** POSIX order: LC_ALL, LC_CTYPE, LANG. No locale at all is taken as today's default, UTF-8. */
function speaksUnicode(env: Terminal["env"]): boolean {
  if (env["TERM"] === "linux") return false;
  const locale = [env["LC_ALL"], env["LC_CTYPE"], env["LANG"]].find(
    (value) => (value ?? "") !== "",
  );
  return locale === undefined || /utf-?8/i.test(locale);
}
