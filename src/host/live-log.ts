/**
 * The kernel log of this boot, from whoever may read it: dmesg, the journal,
 * /dev/kmsg. Each try is bounded in time and size; without permission there
 * is simply no log.
 */
import { spawn } from "node:child_process";
import { closeSync, constants, openSync, readSync } from "node:fs";

export interface KernelLog {
  readonly text: string | null;
  readonly from: string;
  readonly why: string;
}

const TIME_LIMIT_MS = 2000;
const MAX_LOG_BYTES: number = 32 * 1024 ** 2;
/** Longest record of /dev/kmsg. Linux: CONSOLE_EXT_LOG_MAX, include/linux/printk.h */
const KMSG_RECORD_BYTES = 8192;

/** Never fails; `why` tells what was tried when there is no log. */
export async function readKernelLog(): Promise<KernelLog> {
  const dmesg = await output("dmesg", ["-r"]);
  if (dmesg !== null) return { text: dmesg, from: "dmesg", why: "" };
  const kmsg = readKmsg();
  if (kmsg !== null) return { text: kmsg, from: "/dev/kmsg", why: "" };
  const journal = await output("journalctl", ["-k", "-b", "-o", "cat", "--no-pager", "-q"]);
  if (journal !== null) return { text: journal, from: "journalctl -k", why: "" };
  return { text: null, from: "dmesg", why: "only root may read the kernel log" };
}

/** Standard output of a command that ended well in time and said something. */
function output(command: string, args: readonly string[]): Promise<string | null> {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      stdio: ["ignore", "pipe", "ignore"],
      timeout: TIME_LIMIT_MS,
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" },
    });
    const chunks: Uint8Array[] = [];
    let total = 0;
    child.stdout.on("data", (chunk: Uint8Array) => {
      total += chunk.length;
      if (total > MAX_LOG_BYTES) child.kill();
      else chunks.push(chunk);
    });
    child.on("error", () => resolve(null));
    child.on("close", (code) => {
      const text = Buffer.concat(chunks).toString("utf8");
      resolve(code === 0 && /\S/.test(text) ? text : null);
    });
  });
}

/**
 * Records are `prio,seq,microseconds,flags;message`; indented lines after one
 * are its key-value pairs. Linux: devkmsg_read(), kernel/printk/printk.c
 */
function readKmsg(): string | null {
  let file: number;
  try {
    file = openSync("/dev/kmsg", constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return null;
  }
  const deadline = Date.now() + TIME_LIMIT_MS;
  const buffer = new Uint8Array(KMSG_RECORD_BYTES);
  const lines: string[] = [];
  try {
    while (Date.now() < deadline) {
      const length = readSync(file, buffer);
      if (length === 0) break;
      const line = new TextDecoder().decode(buffer.subarray(0, length)).split("\n")[0] ?? "";
      const record = /^(\d+),\d+,(\d+),[^;]*;(.*)$/.exec(line);
      if (record === null) continue;
      const seconds = (Number(record[2]) / 1e6).toFixed(6).padStart(12);
      lines.push(`<${record[1]}>[${seconds}] ${record[3]}`);
    }
  } catch {
    // EAGAIN: the last record was read. EPIPE: records were overwritten meanwhile.
  } finally {
    closeSync(file);
  }
  return lines.length === 0 ? null : `${lines.join("\n")}\n`;
}
