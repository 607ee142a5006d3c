/** The audit: who uses low memory in a C tree, why, and what to use instead. */
export { auditFacts, type BuildOf } from "./audit.ts";
export { buildFacts } from "./build.ts";
export { architecturesOf, type ReadText } from "./buildable.ts";
export { type Cost, type CostRow, costOf } from "./cost.ts";
export { extractFacts } from "./extract.ts";
export { type FileFacts, NO_FACTS } from "./facts.ts";
export { isFinding, levelOf } from "./finding.ts";
export { identities } from "./identity.ts";
export type { BuildFact, Confidence, Group, Verdict } from "./judgement.ts";
export { markdownOf } from "./markdown.ts";
export { patchOf } from "./patch.ts";
export { type Json, sarifOf } from "./sarif.ts";
export { scenarioOf } from "./scenario.ts";
export { countBy, countFolders } from "./summary.ts";
export type { Parse, SyntaxNode } from "./syntax.ts";
export { isRequest, type Place, type Use } from "./use.ts";
export { type Wanted, wantedOf } from "./wanted.ts";
export { isWorthParsing } from "./words.ts";
