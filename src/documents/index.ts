/** Documents: what the command line prints with --json, and the schemas of it. */
export { type CheckDocument, checkDocument, checkSchema } from "./check-document.ts";
export { issueList } from "./common.ts";
export { type DiffDocument, diffDocument, diffSchema } from "./diff-document.ts";
export {
  type InspectDocument,
  type Inspection,
  inspectDocument,
  inspectSchema,
  type SourceDocument,
} from "./inspect-document.ts";
export { type PlanDocument, planDocument, planSchema } from "./plan-document.ts";
export { type JsonSchema, jsonSchemas } from "./schemas.ts";
