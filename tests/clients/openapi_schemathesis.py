"""Schemathesis against the description that Athena gives of itself, with every check.

Nothing may answer with a server error, or with anything that `/openapi.json` does not announce.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

import athena

SEED = 20261121
EXAMPLES = 30
CONFIGURATION = pathlib.Path(__file__).with_name("schemathesis.toml")
HOOKS = pathlib.Path(__file__).with_name("schemathesis_hooks.py")
METHODS = {"get", "post", "put", "patch", "delete"}


def main():
    with athena.check("the server starts and ends"), athena.serve() as base:
        description = f"{base}/openapi.json"
        with urllib.request.urlopen(description, timeout=30) as answer:
            paths = json.load(answer)["paths"]
        operations = [
            f"{method.upper()} {path}" for path in paths for method in paths[path].keys() & METHODS
        ]
        with tempfile.TemporaryDirectory(prefix="athena-schemathesis-") as directory:
            status, report = run(description, directory)
        judge(operations, status, report)
    athena.finish()


def run(description, directory):
    """Runs schemathesis to its end; returns its exit status and its report."""
    report = pathlib.Path(directory, "report.json")
    options = {
        "--checks": "all",
        # What was made may be gone since, and a 404 may be about another thing that the body names.
        "--exclude-checks": "ensure_resource_availability",
        "--max-examples": EXAMPLES,
        "--seed": SEED,
        "--request-timeout": 60,
        "--generation-database": "none",
        "--report": "json",
        "--report-json-path": report,
    }
    words = [str(word) for option in options.items() for word in option]
    status = subprocess.run(
        [
            *[pathlib.Path(sys.executable).with_name("st"), "--config-file", CONFIGURATION],
            *["run", description, "--no-color", *words],
        ],
        cwd=directory,
        env={**os.environ, "SCHEMATHESIS_HOOKS": str(HOOKS)},
        stdin=subprocess.DEVNULL,
        check=False,
    ).returncode
    return status, json.loads(report.read_text())


def judge(operations, status, report):
    """Counts each operation, and that all of them were really called."""
    with athena.check(f"all {len(operations)} operations are called"):
        assert operations, "the description has no operations"
        counts = report["operations"]
        assert counts["tested"] == counts["total"] == len(operations), counts
        assert report["complete"] and report["stop_reason"] == "completed", report["stop_reason"]
        assert report["test_cases"]["generated"] >= EXAMPLES, report["test_cases"]
    problems = report["failures"] + report["errors"]
    guilty = {operation for each in report["failures"] for operation in each["operations"]}
    for operation in sorted(operations):
        if operation in guilty:
            athena.failed(operation, "see the report above")
        else:
            athena.passed(operation)
    with athena.check("schemathesis finds nothing"):
        assert status == 0 and not problems, f"exit status {status}, {len(problems)} problems"


main()
