/** What a replay of DMA starts from, out of the captures and the files beside a trace. */
import { type Capture, readCapture } from "../formats/index.ts";
import { openCaptureFiles, type TraceFile, textIn } from "../host/index.ts";
import { type DmaFacts, type DmaZone, dmaFacts } from "../replay/index.ts";

/** Files of a capture that tell of bounce buffers and devices. */
const FILES = /^(?:cmdline|dmesg|devices|debug\/swiotlb\/.*)$/;

/** Null for a kernel whose swiotlb is not known. */
export async function loadDmaFacts(from: {
  /** Captures of the start and of the end. */
  readonly path: string;
  readonly to: string | null;
  readonly trace: TraceFile;
  readonly upstream: string;
  readonly zones: readonly DmaZone[];
}): Promise<DmaFacts | null> {
  const start = await capture(from.path);
  if (start === null) return null;
  const end = from.to === null ? null : await capture(from.to);
  const { folder } = from.trace;
  const texts = {
    drivers: await textIn(folder, "drivers.txt"),
    pci: await textIn(folder, "pci.txt"),
  };
  return dmaFacts(from.upstream, start, end, texts, from.zones);
}

/** What is wrong with other files of it is said elsewhere; null where it cannot be opened. */
async function capture(path: string): Promise<Capture | null> {
  const { value: files } = await openCaptureFiles(path);
  if (files === null) return null;
  return (await readCapture(files, { skip: (name) => !FILES.test(name) })).value;
}
