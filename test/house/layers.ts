// The layers of src/ in one place, lowest first. A layer may import layers before it, and only
// those that it names in its tsconfig.json.

interface Layer {
  readonly name: string;
  /** Neither Node nor the DOM: what runs in a page, a worker and a server alike. */
  readonly engine: boolean;
}

export const LAYERS: readonly Layer[] = [
  { name: "base", engine: true },
  { name: "kernels", engine: true },
  { name: "formats", engine: true },
  { name: "mm", engine: true },
  { name: "boot", engine: true },
  { name: "dma", engine: true },
  { name: "plan", engine: true },
  { name: "replay", engine: true },
  { name: "explain", engine: true },
  { name: "audit", engine: true },
  { name: "io", engine: true },
  { name: "documents", engine: true },
  { name: "host", engine: false },
  { name: "cli", engine: false },
];
