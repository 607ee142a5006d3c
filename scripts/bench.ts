/**
 * Runs the benchmarks, one process each, one after the other, so that none sees the heap or the
 * compiled code of another:
 *
 *   node scripts/bench.ts [NAME…]    all of bench/*.bench.ts, or those whose name holds a NAME
 */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("../bench", import.meta.url));
const wanted = process.argv.slice(2);
const files = readdirSync(folder)
  .filter((file) => file.endsWith(".bench.ts"))
  .filter((file) => wanted.length === 0 || wanted.some((name) => file.includes(name)))
  .sort();

if (files.length === 0) {
  console.error(`no benchmark in bench/ is called ${wanted.join(" or ") || "*.bench.ts"}`);
  process.exitCode = 2;
}
for (const file of files) {
  console.log(`# ${file}`);
  const { status } = spawnSync(process.execPath, [join(folder, file)], { stdio: "inherit" });
  if (status !== 0) process.exitCode = 1;
}
