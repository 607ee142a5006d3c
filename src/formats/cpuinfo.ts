/**
 * /proc/cpuinfo: how many processors are online, and what they tell about the
 * kernel's architecture. The text differs by architecture; what is read here
 * are the lines `processor`, `flags` or `Features`, and telltales of i386 and arm.
 *
 * `flags` belong to the CPU, not to the kernel: an i386 kernel shows `lm` too.
 *
 * Linux: show_cpuinfo(), arch/x86/kernel/cpu/proc.c and arch/arm, arch/arm64
 */
import type { Reader } from "./reader.ts";
import { type LineLog, type Table, tableReader } from "./table.ts";

export interface Cpuinfo {
  /** Online processors. */
  readonly processors: number;
  /** Numbers of the processors, as printed. */
  readonly cpus: readonly number[];
  /** Architecture of the running kernel as far as the text tells. */
  readonly arch:
    | "x86_64"
    | "i386"
    | "arm"
    | "arm64"
    | "ia64"
    | "riscv"
    | "powerpc"
    | "powerpc32"
    | "s390"
    | "mips"
    | "mips64"
    | null;
  readonly modelName: string | null;
  /** x86: the CPU has PAE, and long mode. */
  readonly pae: boolean;
  readonly lm: boolean;
  /** arm: the CPU has the large physical address extension. */
  readonly lpae: boolean;
  /** Either of the two; whether the kernel uses it, its flavour tells. */
  readonly physicalExtension: boolean;
  /** x86: `address sizes`; null elsewhere. */
  readonly physicalBits: number | null;
  /** Flags or features of the first processor. */
  readonly flags: ReadonlySet<string>;
}

const FIELD = /^([^:]*[^:\s])\s*:(.*)$/;

/** Lines without a colon are reported; fields that are not used are read over. */
export function cpuinfoReader(): Reader<Cpuinfo> {
  return tableReader(new CpuinfoTable());
}

class CpuinfoTable implements Table<Cpuinfo> {
  readonly name = "cpuinfo";
  readonly #cpus: number[] = [];
  /** First value of each field. */
  readonly #fields = new Map<string, string>();

  take(text: string, log: LineLog): boolean {
    if (text.trim() === "") return true;
    const [, name, rest] = FIELD.exec(text) ?? [];
    if (name === undefined || rest === undefined) return false;
    const value = rest.trim();
    if (name === "processor" && /^\d+$/.test(value)) this.#cpus.push(log.decimal(value));
    if (!this.#fields.has(name)) this.#fields.set(name, value);
    return true;
  }

  finish(log: LineLog): Cpuinfo {
    const words = this.#fields.get("flags") ?? this.#fields.get("Features") ?? "";
    const flags = new Set(words.split(/\s+/).filter((word) => word !== ""));
    const [, bits] = /^(\d+) bits physical/.exec(this.#fields.get("address sizes") ?? "") ?? [];
    return {
      processors: this.#cpus.length,
      cpus: this.#cpus,
      arch: this.#arch(flags),
      modelName: this.#fields.get("model name") ?? this.#fields.get("Processor") ?? null,
      pae: flags.has("pae"),
      lm: flags.has("lm"),
      lpae: flags.has("lpae"),
      physicalExtension: flags.has("pae") || flags.has("lpae"),
      physicalBits: bits === undefined ? null : log.decimal(bits),
      flags,
    };
  }

  /** Architectures without `flags` and `CPU implementer`, by a field that no other has. */
  #otherArch(): Cpuinfo["arch"] {
    const field = (name: string): string => this.#fields.get(name) ?? "";
    if (field("arch") === "IA-64") return "ia64";
    if (field("vendor_id") === "IBM/S390") return "s390";
    if (/^rv64/.test(field("isa"))) return "riscv";
    // A 32-bit kernel runs on 64-bit MIPS too; nothing here tells.
    if (this.#fields.has("cpu model")) return /mips64/.test(field("isa")) ? "mips64" : "mips";
    if (!this.#fields.has("timebase")) return null;
    return /^(?:POWER\d|PPC970|Cell|PA6T|e[56]500)/.test(field("cpu")) ? "powerpc" : "powerpc32";
  }

  #arch(flags: ReadonlySet<string>): Cpuinfo["arch"] {
    // Only 32-bit x86 kernels report the bugs of the first Pentiums.
    if (this.#fields.has("fdiv_bug") || this.#fields.has("f00f_bug")) return "i386";
    if (this.#fields.has("flags")) return flags.has("lm") ? "x86_64" : "i386";
    if (!this.#fields.has("CPU implementer")) return this.#otherArch();
    // 64-bit kernels name the vector unit asimd, 32-bit ones neon; "half" is 32-bit only.
    if (flags.has("half") || flags.has("thumb") || flags.has("swp")) return "arm";
    return flags.has("asimd") || flags.has("fp") || flags.has("cpuid") ? "arm64" : null;
  }
}
