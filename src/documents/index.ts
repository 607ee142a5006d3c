/** Documents: what the command line prints with --json, and the schemas of it. */
export { type AuditOrigin, auditDocument, auditSchema } from "./audit-document.ts";
export { checkDocument, checkSchema } from "./check-document.ts";
export { issueList } from "./common.ts";
export { diffDocument, diffSchema } from "./diff-document.ts";
export { type ExplainOrigin, explainDocument, explainSchema } from "./explain-document.ts";
export {
  type BouncingDevice,
  bouncingDevices,
  type Inspection,
  inspectDocument,
  inspectSchema,
  type SourceDocument,
} from "./inspect-document.ts";
export { type PlanDocument, planDocument, planSchema } from "./plan-document.ts";
export {
  type ReplayOrigin,
  replayDocument,
  replaySchema,
} from "./replay-document.ts";
export { jsonSchemas } from "./schemas.ts";
export { type SizeOrigin, sizeDocument, sizeSchema } from "./size-document.ts";
