/**
 * Who is compared: the engine, harness floors, our own C twins, other npm packages.
 *
 * Scales divide a workload's operations so that one process takes about half a second, and no more
 * than that allows: with a few thousand operations a package would be timed while V8 still
 * interprets it, which makes it up to a hundred times slower. The slowest peer is quadratic in the
 * frames and gets 16384 of them; that flatters it.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { workerPath } from "./bundle.ts";
import { compileTwin, findCompiler, TWINS } from "./native.ts";
import { FRAMES, type Workload } from "./workloads.ts";

export interface Peer {
  readonly name: string;
  readonly program: string;
  /** Come before WORKLOAD FRAMES SCALE. */
  readonly args: readonly string[];
  /** Come after them. */
  readonly more: readonly string[];
  readonly frames: number;
  readonly scales: Readonly<Record<Workload, number>>;
}

const NO_SCALE = { W1: 1, W2: 1, W2b: 1, W3: 1, W4: 1, W5: 1 };

/** The names that tables and budgets go by. */
export const ENGINE = "zonewright";
export const PLAIN_TWIN = "c-plain";
export const SAME_TWIN = "c-same";
/** Packages that the budget counts: those with frames of 4 KiB, and the one that has to be dense. */
export const NPM_PEERS: readonly string[] = ["alloc", "malloc", "thi.ng-dense"];

/**
 * The same in their first moments, while V8 still interprets them: so few operations that it is the
 * cold code that is timed. Published anchors of page allocators timed them so, "divided by 4 to
 * 4000"; these divisors give their figures again. W1 is warm all the same, after its first round.
 */
const COLD_SCALES: Readonly<Record<string, number>> = {
  alloc: 400,
  malloc: 400,
  "thi.ng-dense": 4000,
};
export const COLD_PEERS: readonly string[] = Object.keys(COLD_SCALES).map((name) => `${name}-cold`);

const PACKAGE_SCALES: Readonly<Record<string, Readonly<Record<Workload, number>>>> = {
  alloc: { W1: 2, W2: 10, W2b: 20, W3: 20, W4: 2, W5: 1 },
  malloc: { W1: 5, W2: 20, W2b: 20, W3: 5, W4: 5, W5: 5 },
  "malloc-dense": { W1: 2, W2: 10, W2b: 20, W3: 5, W4: 5, W5: 5 },
  "thi.ng-dense": { W1: 10, W2: 1000, W2b: 1000, W3: 1, W4: 100, W5: 2 },
};
const QUADRATIC = { name: "thi.ng-dense", frames: 16384 };

/** A peer in JavaScript; `more` is passed on to the worker. */
export function scriptPeer(name: string, more: readonly string[] = []): Peer {
  return {
    name,
    program: process.execPath,
    // One of the packages uses functions of Node that are on their way out.
    args: ["--no-deprecation", workerPath("worker"), name],
    more,
    frames: name === QUADRATIC.name ? QUADRATIC.frames : FRAMES,
    scales: PACKAGE_SCALES[name] ?? NO_SCALE,
  };
}

function coldPeer([name, scale]: [string, number]): Peer {
  const scales = { W1: scale, W2: scale, W2b: scale, W3: scale, W4: scale, W5: scale };
  return { ...scriptPeer(name), name: `${name}-cold`, scales };
}

/** All peers, or those of `names`; twins only where they compile. `say` is told what is left out. */
export function findPeers(names: readonly string[], say: (text: string) => void): Peer[] {
  const wanted = (name: string): boolean => names.length === 0 || names.includes(name);
  const scripts = ["js-null", ENGINE, ...Object.keys(PACKAGE_SCALES)].filter(wanted);
  const twins = TWINS.filter((twin) => wanted(`c-${twin}`));
  const cold = Object.entries(COLD_SCALES)
    .map(coldPeer)
    .filter(({ name }) => wanted(name));
  if (cold.length > 0 || scripts.some((name) => name in PACKAGE_SCALES)) installPackages(say);
  const compiler = twins.length === 0 ? null : findCompiler();
  if (twins.length > 0 && compiler === null) say("no C compiler (clang, cc, gcc, $CC): no twins");
  const native = (compiler === null ? [] : twins).map((twin) => ({
    name: `c-${twin}`,
    program: compileTwin(compiler ?? "", twin, "fast"),
    args: [],
    more: [],
    frames: FRAMES,
    scales: NO_SCALE,
  }));
  return [...native, ...scripts.map((name) => scriptPeer(name)), ...cold];
}

/** The scale of a run; `quick` runs fewer operations, but each workload's fill stays whole. */
export function scaleOf(peer: Peer, workload: Workload, quick: boolean): number {
  return peer.scales[workload] * (quick && !COLD_PEERS.includes(peer.name) ? 4 : 1);
}

/** Puts the packages into their folder, once for each lock file. Without them they are left out. */
function installPackages(say: (text: string) => void): void {
  const folder = fileURLToPath(new URL("peers", import.meta.url));
  const lock = readFileSync(join(folder, "package-lock.json"), "utf8");
  const mark = join(folder, "node_modules/.installed");
  if (existsSync(mark) && readFileSync(mark, "utf8") === lock) return;
  // One of them has a build script that builds nothing.
  const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
  const npm = process.env.npm_execpath;
  const { status } =
    npm === undefined
      ? spawnSync("npm", args, {
          cwd: folder,
          stdio: "ignore",
          shell: process.platform === "win32",
        })
      : spawnSync(process.execPath, [npm, ...args], { cwd: folder, stdio: "ignore" });
  if (status === 0) writeFileSync(mark, lock);
  else say("npm could not install the packages to compare with");
}
