/**
 * What tracing itself takes before it can trace: pages of the first CPU's ring
 * buffer by `trace_buf_size=`, and a descriptor of 64 bytes for each.
 *
 * Linux: rb_allocate_cpu_buffer(), kernel/trace/ring_buffer.c; set_buf_size(), kernel/trace/trace.c
 */
import { memparse } from "../boot/memparse.ts";
import { parseGfp } from "../mm/gfp-text.ts";
import type { Memory } from "../mm/memory.ts";
import { request } from "./request.ts";

/** A page less its header, a time stamp and a count. Linux: BUF_PAGE_SIZE */
const PAGE_PAYLOAD = 4096 - 16;
/** Descriptors in a page: each has a cache line of its own. */
const DESCRIPTORS = 64;
/** TRACE_BUF_SIZE_DEFAULT. */
const DEFAULT_BYTES = 1441792;

export function takeTraceBuffer(m: Memory, commandLine: string): void {
  const text = /(?:^|\s)trace_buf_size=(\S+)/.exec(commandLine)?.[1];
  const bytes = text === undefined ? DEFAULT_BYTES : memparse(text).value;
  const buffers = Math.ceil(bytes / PAGE_PAYLOAD);
  const pages = buffers + Math.ceil(buffers / DESCRIPTORS);
  const gfp = parseGfp("GFP_KERNEL", m.gfp.era).value;
  m.cpu = 0;
  for (let i = 0; i < pages; i++)
    request(m, gfp, 0, { past: false, reclaimer: false, victim: false });
}
