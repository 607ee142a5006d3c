/**
 * /proc/version, and the same line at the top of a boot log: which kernel this is.
 *
 *   Linux version 6.1.0-50-amd64 (…) (gcc …) #1 SMP … Debian 6.1.176-1 (2026-07-02)
 *                 release                               distribution's own version
 *
 * Distributions freeze the third number of the release; where they print the
 * upstream version after all (Debian, and Ubuntu in its boot log), `numbers` has it.
 *
 * Linux: linux_proc_banner, init/version.c
 */
import type { Issue, Outcome } from "../base/issue.ts";
import { excerpt } from "./table.ts";

export interface KernelVersion {
  /** As in `uname -r`, e.g. "6.1.0-50-amd64"; "" when the text is no version line. */
  readonly release: string;
  /** Upstream version, e.g. [6, 1, 176]; zeros when unknown. */
  readonly numbers: readonly [number, number, number];
  /** What the release ends with: "amd64", "686-pae", "armmp-lpae", "generic"; null for none. */
  readonly flavour: string | null;
  /** The distribution's name and version, e.g. "Debian 6.1.176-1"; null for none. */
  readonly distribution: string | null;
  /** The words after the build number: SMP, PREEMPT_DYNAMIC … */
  readonly features: readonly string[];
  /** The whole line. */
  readonly text: string;
}

const LINE = /^Linux version (\S+)(.*)$/;
const NUMBERS = /^(\d{1,9})\.(\d{1,9})(?:\.(\d{1,9}))?/;
const DEBIAN = /\bDebian (\d[\w.+~-]*)(?: \(\d{4}-\d\d-\d\d\))?\s*$/;
const UBUNTU_BUILD = /#([\w.~+-]*-Ubuntu)\b/;
const UBUNTU_UPSTREAM = /\(Ubuntu (\S+) (\d[\d.]*)\)\s*$/;
const RED_HAT = /\.(el\d+|fc\d+)\w*/;
const FEATURES = /#\S+ ((?:(?:SMP|PREEMPT\w*|RT) ?)*)/;

/** Reads a version line. An error when it is not one. */
export function parseVersion(text: string): Outcome<KernelVersion> {
  const line = (text.split("\n", 1)[0] ?? "").trim();
  const issues: Issue[] = [];
  const [, release = "", rest = ""] = LINE.exec(line.slice(0, 4096)) ?? [];
  const numbers = numbersOf(release);
  if (numbers === null) {
    const message = `not a kernel version: "${excerpt(line)}"`;
    issues.push({ severity: "error", message, mend: "give the contents of /proc/version" });
  }
  const { distribution, upstream } = distributionOf(release, rest);
  const built = upstream === null ? null : numbersOf(upstream);
  const sameSeries = numbers !== null && built?.[0] === numbers[0] && built[1] === numbers[1];
  const value: KernelVersion = {
    release,
    numbers: (sameSeries ? built : numbers) ?? [0, 0, 0],
    flavour: flavourOf(release),
    distribution,
    features: (FEATURES.exec(rest)?.[1] ?? "").split(" ").filter((word) => word !== ""),
    text: line,
  };
  return { value, issues };
}

/** Compares two versions like `<=>`: negative when `a` is older. */
export function compareVersions(
  a: readonly [number, number, number],
  b: readonly [number, number, number],
): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}

function numbersOf(release: string): [number, number, number] | null {
  const [, major, minor, patch] = NUMBERS.exec(release) ?? [];
  if (major === undefined || minor === undefined) return null;
  return [Number(major), Number(minor), Number(patch ?? "0")];
}

function distributionOf(
  release: string,
  rest: string,
): { distribution: string | null; upstream: string | null } {
  const debian = DEBIAN.exec(rest)?.[1];
  if (debian !== undefined) return { distribution: `Debian ${debian}`, upstream: debian };
  const [, package_, upstream] = UBUNTU_UPSTREAM.exec(rest) ?? [];
  if (package_ !== undefined && upstream !== undefined) {
    return { distribution: `Ubuntu ${package_}`, upstream };
  }
  const ubuntu = UBUNTU_BUILD.exec(rest)?.[1];
  if (ubuntu !== undefined) return { distribution: `Ubuntu ${ubuntu}`, upstream: null };
  const redHat = RED_HAT.exec(release)?.[1];
  if (redHat === undefined) return { distribution: null, upstream: null };
  const name = redHat.startsWith("fc") ? "Fedora" : "Red Hat";
  return { distribution: `${name} ${redHat}`, upstream: null };
}

/** The words of a release that are neither version, release candidate nor the package's number. */
function flavourOf(release: string): string | null {
  const [, ...words] = release.split("-");
  while (/^rc\d+$/.test(words[0] ?? "")) words.shift();
  // "-50-686" has a package number and a flavour, "-686" only a flavour.
  const isNumber = /^\d[\w.~+]*$/.test(words[0] ?? "");
  const isX86 = /^[3-6]86$/.test(words[0] ?? "");
  if (isNumber && !isX86) words.shift();
  return words.length === 0 ? null : words.join("-");
}
