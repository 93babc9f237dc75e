"""checkov on plans, in the environment that `scripts/env policy` makes for it."""

import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

CHECKOV = Path(__file__).parents[2] / ".venv-policy" / "bin" / "checkov"


class ScannerError(Exception):
    """checkov did not do its work."""


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """What one check said of one resource."""

    check: str
    name: str
    file: str  # prod-storage.json
    address: str
    passed: bool


def scan(folder: Path, checkov: Path = CHECKOV) -> list[CheckOutcome]:
    """Every outcome of every check on the plans in a folder.

    Raises ScannerError when it cannot be run, could not read a file, or ran no check at all: by itself it would
    end well then. https://www.checkov.io/7.Scan%20Examples/Terraform%20Plan%20Scanning.html
    """
    if not checkov.exists():
        raise ScannerError("checkov is not installed: run scripts/env policy")
    command = [str(checkov), "--directory", str(folder.resolve()), "--framework", "terraform_plan", "--output", "json"]
    command += ["--skip-download", "--compact", "--soft-fail"]
    # A folder of its own: a .checkov.yaml in ours, or at home, would change what is checked.
    with tempfile.TemporaryDirectory() as home:
        env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": home, "EVAL_TF_PLAN_AFTER_UNKNOWN": "1"}
        done = subprocess.run(command, env=env, cwd=home, capture_output=True, text=True, check=False)
    try:
        report = json.loads(done.stdout)
    except ValueError as error:
        raise ScannerError(f"checkov ended with {done.returncode}: {done.stderr.strip()[-2000:]}") from error
    if done.returncode != 0 or "results" not in report:
        raise ScannerError(f"checkov ran no check (exit code {done.returncode})")
    results = report["results"]
    if unread := results.get("parsing_errors"):
        raise ScannerError(f"checkov could not read {', '.join(unread)}")
    outcomes = [
        CheckOutcome(each["check_id"], each["check_name"], Path(each["file_path"]).name, each["resource"], passed)
        for passed, key in ((True, "passed_checks"), (False, "failed_checks"))
        for each in results[key]
    ]
    if results.get("skipped_checks") or not outcomes:
        raise ScannerError("checkov ran no check, or skipped one: skips stand in infra/policies/skips.toml alone")
    return outcomes
