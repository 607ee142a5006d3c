/**
 * Kprobes: how tracefs describes them, and what a hit prints.
 *
 *   p:kprobes/p_bulk __alloc_pages_bulk gfp=%di:x32 nr=%cx:s32      kprobe_events
 *   r10:kprobes/r_bulk __alloc_pages_bulk n=$retval:u64
 *
 *   p_bulk: (__alloc_pages_bulk+0x0/0x6b0) gfp=0x2dc2 nr=4          trace
 *   r_bulk: (__vmalloc_node_range+0x264/0x880 <- __alloc_pages_bulk) n=4
 *
 * Values are read without the description, too: numbers, "strings" and
 * {arrays} differ in form.
 *
 * Linux: create_or_delete_trace_kprobe(), print_kprobe_event(), print_kretprobe_event(),
 * kernel/trace/trace_kprobe.c
 */
import type { ProbeHit, ProbeValue, TraceHead } from "./ftrace-event.ts";
import type { Reader } from "./reader.ts";
import { type LineLog, tableReader } from "./table.ts";

export interface ProbeFormat {
  /** The event's name, e.g. `p_bulk`. */
  readonly name: string;
  readonly group: string;
  readonly kind: "entry" | "return";
  /** The probed function or address, as written. */
  readonly symbol: string;
  readonly args: readonly ProbeArg[];
}

export interface ProbeArg {
  readonly name: string;
  /** Where the value comes from, e.g. `+0(%cx)` or `$retval`. */
  readonly fetch: string;
  /** `x64`, `string` …; "" where none is written: the machine's word. */
  readonly type: string;
}

const DEFINITION = /^([pr])(?:\d*)(?::(?:([\w-]+)[/.])?([\w-]+))? (\S+)((?: \S+)*) *$/;
const ARGUMENT = /^(?:(\w+)=)?([^:]+)(?::([\w[\]/@<>-]+))?$/;
const ENTRY = /^\(([\w.$]+)(?:\+0x[\da-f]+\/0x[\da-f]+)?(?: \[[\w-]+\])?\)/;
const RETURN =
  /^\(([\w.$]+)(?:\+0x[\da-f]+\/0x[\da-f]+)?(?: \[[\w-]+\])? <- ([\w.$]+)(?:\+0x[\da-f]+\/0x[\da-f]+)?(?: \[[\w-]+\])?\)/;
const VALUE = /^ ([A-Za-z_]\w*)=("[^"]*"|\{[^{}]*\}|[^\s{}"]+)/;
const NUMBER = /^(?:0x[\da-f]{1,32}|-?\d{1,40})$/;

/** Issues: lines of another form are warnings. The value is by name. */
export function probeReader(): Reader<ReadonlyMap<string, ProbeFormat>> {
  const formats = new Map<string, ProbeFormat>();
  return tableReader({
    name: "kprobe_events",
    take(text: string, log: LineLog): boolean {
      if (text.trim() === "") return true;
      const format = definition(text);
      if (format === null) return false;
      if (formats.has(format.name)) log.report("note", `"${format.name}" is defined twice`);
      formats.set(format.name, format);
      return true;
    },
    finish: (): ReadonlyMap<string, ProbeFormat> => formats,
  });
}

function definition(text: string): ProbeFormat | null {
  const [, letter, group = "kprobes", given, symbol, rest = ""] = DEFINITION.exec(text) ?? [];
  if (symbol === undefined) return null;
  const args: ProbeArg[] = [];
  for (const word of rest.split(" ").filter((part) => part !== "")) {
    const [, name, fetch, type = ""] = ARGUMENT.exec(word) ?? [];
    if (fetch === undefined) return null;
    args.push({ name: name ?? `arg${args.length + 1}`, fetch, type });
  }
  // Without a name the kernel makes one of letter, symbol and offset.
  const name = given ?? `${letter}_${symbol.replace(/\W/g, "_")}`;
  return { name, group, kind: letter === "r" ? "return" : "entry", symbol, args };
}

/**
 * A hit of probe `probe` with payload `text`; null when it is none, or has fewer
 * values than `format` lists.
 */
export function readProbe(
  probe: string,
  text: string,
  head: TraceHead,
  format: ProbeFormat | undefined,
): ProbeHit | null {
  const entry = ENTRY.exec(text);
  const found = entry ?? RETURN.exec(text);
  if (found === null) return null;
  const values = readValues(text.slice(found[0].length));
  if (values === null || (format !== undefined && values.size < format.args.length)) return null;
  const { line, task, pid, tgid, cpu, flags, time } = head;
  const symbol = (entry === null ? found[2] : found[1]) ?? "";
  const caller = entry === null ? (found[1] ?? "") : null;
  return { line, task, pid, tgid, cpu, flags, time, name: "probe", probe, symbol, caller, values };
}

function readValues(text: string): ReadonlyMap<string, ProbeValue> | null {
  const values = new Map<string, ProbeValue>();
  let rest = text.trimEnd();
  while (rest !== "") {
    const [whole, name, value] = VALUE.exec(rest) ?? [];
    if (whole === undefined || name === undefined || value === undefined) return null;
    values.set(name, readValue(value));
    rest = rest.slice(whole.length);
  }
  return values;
}

function readValue(text: string): ProbeValue {
  if (text.startsWith('"')) return text.slice(1, -1);
  if (!text.startsWith("{")) return scalar(text);
  const inside = text.slice(1, -1);
  return inside === "" ? [] : inside.split(",").map(scalar);
}

function scalar(text: string): bigint | string {
  if (!NUMBER.test(text)) return text.startsWith('"') ? text.slice(1, -1) : text;
  return BigInt(text);
}
