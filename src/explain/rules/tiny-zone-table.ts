/** The same of a table of /proc/zoneinfo that stands in the log. */
import { versionRank } from "../../kernels/gfp.ts";
import type { Evidence } from "../finding.ts";
import type { MessageRule } from "../message-case.ts";
import { spinningClaim, tinyOf } from "../tiny.ts";

export const tinyZoneTable: MessageRule = {
  name: "tiny-zone-table",
  kind: "memory-state",
  decides:
    "a table of /proc/zoneinfo in the log where one zone of a few pages is not above its high mark and all others are; silent where the log's kernel is 4.12 or later",
  linux: "zone_balanced(), prepare_kswapd_sleep(), mm/vmscan.c",
  claim: ({ message }) => {
    if (message.kind !== "zone-table") return null;
    const zones = message.zones.map((zone) => ({ ...zone, label: labelOf(zone) }));
    const tiny = tinyOf(zones);
    if (tiny === null) return null;
    const evidence = zones.map(
      ({ line, label, free, high, managed }): Evidence => ({
        line,
        text: `${label} free ${free} high ${high} managed ${managed}`,
      }),
    );
    const claim = spinningClaim(tiny, message.upstream === null ? "hint" : "proven", evidence);
    const release = message.upstream === null ? ["the kernel's release"] : [];
    return { ...claim, missing: [...release, "that kswapd is busy at all (top, pgscan_kswapd)"] };
  },
};

function labelOf({ node, name }: { readonly node: number; readonly name: string }): string {
  return node === 0 ? name : `Node ${node} ${name}`;
}

/** Whether a table says anything here: kernels since 4.12 do not wait for every zone. */
export function tableSpeaks(upstream: string | null): boolean {
  return upstream === null || (versionRank(upstream) ?? 0) < (versionRank("4.12") ?? 0);
}
