/** Why memory was refused: verdicts computed from what the kernel reported. */
export { explainMemory } from "./explain-memory.ts";
export { Explainer, type ExplainerOptions } from "./explainer.ts";
export type * from "./finding.ts";
export { MEMORY_RULES } from "./memory-rules.ts";
export { MESSAGE_RULES } from "./message-rules.ts";
export { type Redacted, redact } from "./redact.ts";
