/** What a replay of an IOMMU's addresses knows of the machine, out of the capture and the files beside a trace. */
import { openCaptureFiles, type TraceFile, textIn } from "../host/index.ts";
import { type IovaEvidence, iovaEvidence, type MachineFacts } from "../replay/index.ts";

export async function loadIovaEvidence(
  path: string,
  trace: TraceFile,
  { upstream, cpus }: Pick<MachineFacts, "upstream" | "cpus">,
): Promise<IovaEvidence> {
  const { value: files } = await openCaptureFiles(path);
  const text = async (name: string): Promise<string | null> => {
    if (files?.paths.includes(name) !== true) return null;
    let whole = "";
    for await (const chunk of files.open(name)) whole += chunk;
    return whole;
  };
  return iovaEvidence(upstream, cpus, {
    groups: await text("iommu_groups"),
    log: await text("dmesg"),
    config: (await text("config")) ?? (await textIn(trace.folder, "config")),
  });
}
