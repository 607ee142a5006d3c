/**
 * Reads the fields of the events that `ftrace-fields.ts` describes: first where
 * each field's name stands, then what is between the names. A text may hold
 * blanks that way (`comm=Web Content`), and a field may be missing.
 */
import type { TableEvent, TraceHead } from "./ftrace-event.ts";
import { EVENT_FIELDS, SAME_FIELDS } from "./ftrace-fields.ts";
import { isWord, Scan } from "./ftrace-scan.ts";

type Kind = "d" | "x" | "list" | "s";
type Value = number | string | readonly number[] | null;

interface Field {
  readonly name: string;
  /** What stands before the value; several where kernels differ. */
  readonly keys: readonly string[];
  readonly kind: Kind;
  readonly optional: boolean;
}

/** Fields of one event, in the order of the line. */
export type EventFields = readonly Field[];

/** Every event that tables describe. */
export const TABLE_EVENTS: ReadonlyMap<string, EventFields> = compileAll();

const SCAN = new Scan();

/** The record of the event `name` with payload `text` from `from`; null when fields are missing. */
export function readTable(
  name: string,
  fields: EventFields,
  text: string,
  from: number,
  head: TraceHead,
): TableEvent | null {
  const { line, task, pid, tgid, cpu, flags, time } = head;
  const record: Record<string, Value | TraceHead["flags"]> = {
    line,
    task,
    pid,
    tgid,
    cpu,
    flags,
    time,
    name,
  };
  let open: Field | null = null;
  let at = from;
  for (const field of fields) {
    const key = findKey(text, at, field.keys);
    if (key.start === -1) {
      if (!field.optional) return null;
      record[field.name] = null;
      continue;
    }
    if (open !== null && !put(record, open, text.slice(at, key.start))) return null;
    open = field;
    at = key.end;
  }
  if (open !== null && !put(record, open, text.slice(at))) return null;
  // The table that the type is made of is the one that was just followed.
  return record as unknown as TableEvent;
}

function put(record: Record<string, unknown>, field: Field, text: string): boolean {
  const value = readValue(field.kind, text);
  if (value === null) return false;
  record[field.name] = value;
  return true;
}

function readValue(kind: Kind, text: string): Value {
  if (kind === "s") return text.trim().replace(/,$/, "");
  SCAN.start(text);
  if (kind === "list") return readList();
  const value = kind === "x" ? SCAN.hex() : SCAN.number();
  return Number.isNaN(value) ? null : value;
}

/** `{0x1000,0x2000}`, at the scan. */
function readList(): readonly number[] | null {
  const numbers: number[] = [];
  if (!SCAN.skip("{")) return null;
  if (SCAN.skip("}")) return numbers;
  for (;;) {
    const value = SCAN.hex();
    if (Number.isNaN(value)) return null;
    numbers.push(value);
    if (SCAN.skip("}")) return numbers;
    if (!SCAN.skip(",")) return null;
  }
}

/** Where the first of `keys` that is there stands, at or behind `at`; start -1 when none is. */
function findKey(
  text: string,
  at: number,
  keys: readonly string[],
): { readonly start: number; readonly end: number } {
  for (const key of keys) {
    let start = text.indexOf(key, at);
    // `order=` is not to be found in `alloc_order=`.
    while (start > at && isWord(key.charCodeAt(0)) && isWord(text.charCodeAt(start - 1))) {
      start = text.indexOf(key, start + 1);
    }
    if (start !== -1) return { start, end: start + key.length };
  }
  return { start: -1, end: -1 };
}

function compileAll(): ReadonlyMap<string, EventFields> {
  const all = new Map<string, EventFields>();
  for (const [event, fields] of Object.entries(EVENT_FIELDS)) {
    all.set(event, Object.entries<string>(fields).map(compile));
  }
  for (const [event, other] of Object.entries(SAME_FIELDS)) all.set(event, all.get(other) ?? []);
  return all;
}

function compile([name, printed]: readonly [string, string]): Field {
  const optional = printed.startsWith("?");
  const forms = (optional ? printed.slice(1) : printed).split("|");
  const list = printed.endsWith("{%x}");
  const letter = printed.at(-1);
  const kind = list ? "list" : letter === "d" || letter === "x" ? letter : "s";
  return { name, keys: forms.map((form) => form.slice(0, list ? -4 : -2)), kind, optional };
}
