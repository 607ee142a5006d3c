// The numbers of a zoneinfo text by plain regular expressions: a second opinion, independent of
// the reader in src/formats.

export interface SeenZone {
  readonly node: number;
  readonly name: string;
  readonly min: number;
  readonly low: number;
  readonly high: number;
  readonly spanned: number;
  readonly present: number;
  readonly managed: number;
  readonly protection: readonly number[];
  /** 0 where zoneinfo prints none. */
  readonly startPfn: number;
}

export function zonesOf(zoneinfo: string): SeenZone[] {
  return zoneinfo.split(/^(?=Node \d)/m).flatMap((text) => {
    const heading = /^Node (\d+), zone +(\S+)/.exec(text);
    if (heading === null) return [];
    const number = (name: string): number =>
      Number(new RegExp(`^\\s+${name}\\s+(\\d+)`, "m").exec(text)?.[1] ?? 0);
    const protection = /protection: \(([\d, ]*)\)/.exec(text)?.[1] ?? "";
    return {
      node: Number(heading[1]),
      name: heading[2] ?? "",
      min: number("min"),
      low: number("low"),
      high: number("high"),
      spanned: number("spanned"),
      present: number("present"),
      managed: number("managed"),
      protection: protection.split(",").map(Number),
      startPfn: number("start_pfn:"),
    };
  });
}
