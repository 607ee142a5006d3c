/**
 * Puts a clone's tools in place, then runs one script on them:
 *
 *   node scripts/setup.mjs [--build] SCRIPT [ARG…]
 *
 * Dependencies are installed with `npm ci` when what npm recorded in node_modules differs from
 * package-lock.json; --build refreshes the command line and the modules that are published whole
 * where they are stale. SCRIPT runs on the Node that package.json pins, whatever `node` started this
 * one (20 or newer, no dependency). Progress goes to standard error. Exits like SCRIPT, or with 2
 * when there is nothing to run it on.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const modules = join(root, "node_modules");
const windows = process.platform === "win32";
const pinnedNode = join(modules, "node/bin", windows ? "node.exe" : "node");

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));

async function main(args) {
  const build = args[0] === "--build";
  const [script, ...rest] = build ? args.slice(1) : args;
  if (!isInstalled()) install();
  if (!existsSync(pinnedNode)) installNode();
  mkdirSync(join(modules, ".cache/zonewright"), { recursive: true });
  if (build) await refresh();
  if (script !== undefined) run(script, rest);
}

/** Whether node_modules holds what the lock file asks for; platform packages may be absent. */
function isInstalled() {
  try {
    const wanted = packagesOf(join(root, "package-lock.json"));
    const present = packagesOf(join(modules, ".package-lock.json"));
    return Object.entries(wanted).every(([path, { version, integrity, optional }]) => {
      const found = present[path];
      if (path === "") return true;
      if (found === undefined) return optional === true;
      return found.version === version && found.integrity === integrity;
    });
  } catch {
    return false;
  }
}

function packagesOf(path) {
  return JSON.parse(readFileSync(path, "utf8")).packages;
}

function install() {
  say("installing the development tools (npm ci), once for each lock file");
  const started = Date.now();
  const npm = runNpm(["ci", "--no-audit", "--no-fund"], root);
  if (npm.error?.code === "ENOENT") stop("npm is not on the PATH: install Node with npm");
  if (npm.status !== 0) {
    process.stderr.write(npm.stderr);
    stop("npm ci failed (see above): it needs the network, or a registry or cache set up for npm");
  }
  say(`installed in ${((Date.now() - started) / 1000).toFixed(0)} s`);
}

/** An npm that runs no install scripts leaves the pinned Node's wrapper without its binary. */
function installNode() {
  say("fetching the pinned Node: npm did not run its install script");
  const folder = join(modules, "node");
  const fetch = spawnSync(process.execPath, ["installArchSpecificPackage"], {
    cwd: folder,
    stdio: ["ignore", "ignore", "pipe"],
    encoding: "utf8",
  });
  if (existsSync(pinnedNode)) return;
  process.stderr.write(fetch.stderr);
  stop(`could not fetch Node for ${process.platform} ${process.arch}: run "npm rebuild node"`);
}

function runNpm(args, cwd) {
  // Inside an npm script this is the npm that runs it.
  const self = process.env.npm_execpath;
  const useSelf = self !== undefined && /npm-cli\.[cm]?js$/.test(self);
  const options = { cwd, stdio: ["ignore", "ignore", "pipe"], encoding: "utf8" };
  return useSelf
    ? spawnSync(process.execPath, [self, ...args], options)
    : spawnSync("npm", args, { ...options, shell: windows });
}

async function refresh() {
  const { isStale, areModulesStale } = await import("./build.mjs");
  const stale = [];
  if (isStale()) stale.push("await build.bundle();");
  if (areModulesStale()) stale.push("await build.bundleModules();");
  if (stale.length === 0) return;
  say("building what has changed");
  const code = `import("./scripts/build.mjs").then(async (build) => { ${stale.join(" ")} })`;
  const { status } = spawnSync(pinnedNode, ["-e", code], { cwd: root, stdio: ["ignore", 2, 2] });
  if (status !== 0) stop("the build failed (see above)");
}

function run(script, args) {
  const path = `${join(modules, ".bin")}${windows ? ";" : ":"}${process.env.PATH}`;
  const options = { stdio: "inherit", env: { ...process.env, PATH: path } };
  const child = spawn(pinnedNode, [join(root, script), ...args], options);
  const pass = (signal) => {
    // A terminal sends Ctrl-C to both of us already.
    if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) process.on(signal, pass);
  child.on("exit", (code, signal) => {
    for (const name of signals) process.removeListener(name, pass);
    if (signal !== null) process.kill(process.pid, signal);
    else process.exitCode = code;
  });
}

function say(text) {
  process.stderr.write(`zonewright: ${text}\n`);
}

function stop(text) {
  say(text);
  process.exit(2);
}
