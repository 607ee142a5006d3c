/**
 * Completes package-lock.json after a change of dependencies:
 *
 *   npm install --package-lock-only && node scripts/lock.mjs
 *
 * Tools with native code name one optional package a platform. A registry mirror that lacks some
 * of them makes npm leave these out of the lock, and `npm ci` then refuses the lock everywhere.
 * Each missing one is entered here with the version its parent asks for and the platform its name
 * says, so that machines of other platforms skip it before any download. Prints what it entered.
 */
import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";

const OS = [
  "aix",
  "android",
  "darwin",
  "freebsd",
  "linux",
  "netbsd",
  "openbsd",
  "openharmony",
  "sunos",
  "win32",
];
const CPU = [
  "arm",
  "arm64",
  "ia32",
  "loong64",
  "mips64el",
  "ppc64",
  "riscv64",
  "s390x",
  "wasm32",
  "x64",
];
const LIBC = { gnu: "glibc", gnueabihf: "glibc", musl: "musl", musleabihf: "musl" };

/** `os`, `cpu` and `libc` as package.json spells them, from a name like `@x/binding-linux-x64-musl`. */
function platformOf(name) {
  const words = name.split("/").at(-1).split("-");
  const pick = (known) => words.filter((word) => known.includes(word));
  const libc = words.filter((word) => Object.hasOwn(LIBC, word)).map((word) => LIBC[word]);
  const platform = { os: pick(OS), cpu: pick(CPU), libc };
  return Object.fromEntries(Object.entries(platform).filter(([, values]) => values.length > 0));
}

const lockPath = new URL("../package-lock.json", import.meta.url);
const lock = JSON.parse(readFileSync(lockPath, "utf8"));
const entered = [];
for (const [path, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const place = `node_modules/${name}`;
    if (lock.packages[place] !== undefined || lock.packages[`${path}/${place}`] !== undefined)
      continue;
    lock.packages[place] = { version, ...platformOf(name), dev: true, optional: true };
    entered.push(`${name}@${version}`);
  }
}
const sorted = Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1));
writeFileSync(
  lockPath,
  `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, null, 2)}\n`,
);
process.stdout.write(`entered ${entered.length}${entered.map((name) => `\n  ${name}`).join("")}\n`);
