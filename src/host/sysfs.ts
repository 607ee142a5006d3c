/** Small files of /proc and /sys, where absence and refusal are ordinary. */
import { readdir, readFile } from "node:fs/promises";

/** Text of a small file of /proc or /sys, or in words why there is none. */
export async function textOf(path: string): Promise<{ text: string | null; why: string }> {
  try {
    return { text: await readFile(path, "utf8"), why: "" };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : "";
    const refused = code === "EACCES" || code === "EPERM";
    return { text: null, why: refused ? "only root may read it" : "not there" };
  }
}

/** Names in a folder, sorted as numbers where they are; empty when it cannot be read. */
export async function namesIn(path: string): Promise<string[]> {
  try {
    const names = await readdir(path);
    return names.sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  } catch {
    return [];
  }
}
