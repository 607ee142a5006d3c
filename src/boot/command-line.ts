/**
 * The kernel command line: the parameters that decide where memory goes,
 * parsed as the kernel parses them. Everything else on the line is kept by
 * name but not looked at.
 */

/** A `memmap=` piece in the order given. Bytes; ranges are [start, start + bytes). */
export type MemmapEdit =
  | { readonly kind: "exactmap" }
  | { readonly kind: "limit"; readonly bytes: number }
  | {
      readonly kind: "add" | "acpi" | "reserve" | "protected";
      readonly start: number;
      readonly bytes: number;
    }
  | {
      readonly kind: "retype";
      readonly start: number;
      readonly bytes: number;
      readonly from: number | null;
      readonly to: number | null;
    };

/** `kernelcore=` / `movablecore=`: an amount, a percentage of all pages, or mirror. */
export type CoreSize =
  | { readonly kind: "bytes"; readonly bytes: number }
  | { readonly kind: "percent"; readonly percent: number }
  | { readonly kind: "mirror" };

export interface CommandLine {
  readonly text: string;
  /** `mem=` and `memmap=`, in the order given: they are applied as they are met. */
  readonly edits: readonly ({ readonly kind: "mem"; readonly bytes: number } | MemmapEdit)[];
  readonly kernelcore: CoreSize | null;
  readonly movablecore: CoreSize | null;
  readonly movableNode: boolean;
  readonly highmemBytes: number | null;
  readonly vmallocBytes: number | null;
  readonly cma: {
    readonly bytes: number;
    /** Fixed base or lower limit; 0 when not given. */
    readonly base: number;
    /** Exclusive upper limit; 0 when not given. */
    readonly limit: number;
  } | null;
  readonly hugetlbCmaBytes: number;
  readonly swiotlb: {
    readonly slots: number | null;
    readonly areas: number | null;
    readonly force: boolean;
    readonly noforce: boolean;
  };
  /** The words of `iommu=`: "off", "soft", "pt" … */
  readonly iommu: readonly string[];
  readonly crashkernel: readonly string[];
  /** `hugepagesz=`/`hugepages=` pairs; pageBytes null = the default size. Per-node counts are summed. */
  readonly hugePages: readonly { readonly pageBytes: number | null; readonly count: number }[];
  readonly numa:
    | { readonly kind: "auto" }
    | { readonly kind: "off" }
    | { readonly kind: "noacpi" }
    | { readonly kind: "fake"; readonly text: string };
  readonly transparentHugepage: "always" | "madvise" | "never" | null;
  readonly maxCpus: number | null;
  readonly nrCpus: number | null;
  readonly possibleCpus: number | null;
  readonly logBufBytes: number | null;
  readonly kaslr: boolean;
}
