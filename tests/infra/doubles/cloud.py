"""docker, gcloud, kubectl and git as they answer a deploy. Installed on a PATH under each of their names.

A folder, $CLOUD, holds what the cloud is like (cloud.json) and what was asked of it (asked.jsonl). Answers are in the
form that the programs' own sources and documentation give them; a call that nobody has described fails.
"""

import fcntl
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

CLOUD = Path(os.environ["CLOUD"])


def main(name: str, arguments: list[str]) -> int:
    with (CLOUD / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = json.loads((CLOUD / "cloud.json").read_text())
        with (CLOUD / "asked.jsonl").open("a") as asked:
            asked.write(json.dumps([name, *arguments]) + "\n")
        line = " ".join([name, *arguments])
        for failing in state["failing"]:
            if failing["what"] in line and failing["times"] > 0:
                failing["times"] -= 1
                (CLOUD / "cloud.json").write_text(json.dumps(state))
                time.sleep(failing.get("after", 0))
                print(failing["says"], file=sys.stderr)
                return int(failing.get("status", 1))
        code = answer(name, arguments, state)
        (CLOUD / "cloud.json").write_text(json.dumps(state))
        return code


def answer(name: str, arguments: list[str], state: dict[str, Any]) -> int:
    match [name, *(each for each in arguments if not each.startswith("--"))]:
        case ["git", "rev-parse", "HEAD"]:
            print(state["commit"])
        case ["git", "status", *_]:
            print(state["changed"], end="")
        case ["docker", "build", "."]:
            state["built"].append(option(arguments, "--tag"))
        case ["docker", "push", image] if image in state["built"] and image not in state["registry"]:
            state["registry"][image] = f"sha256:{len(state['registry']) + 1:064x}"
        case ["gcloud", "auth", "configure-docker", _]:
            pass
        case ["gcloud", "artifacts", "repositories", "describe", _]:
            return repository(state)
        case ["gcloud", "artifacts", "docker", "images", "describe", image]:
            return describe(image, "--show-package-vulnerability" in arguments, state)
        case ["gcloud", "sql", "backups", "create"]:
            print("0a1b2c")
        case ["gcloud", "sql", "operations", "wait", "0a1b2c"]:
            state["backups"] += 1
        case ["gcloud", "sql", "backups", "list"]:
            print(1_700_000_000_000 + state["backups"])
        case ["gcloud", "run", "jobs", "execute", job]:
            if job.endswith("-train"):
                state["model"] = True
            else:
                state["migrations"] += 1
        case ["gcloud", "storage", "objects", "describe", url]:
            # googlecloudsdk/api_lib/storage/errors.py
            if not state["model"]:
                return refuse(f"(gcloud.storage.objects.describe) {url} not found: 404.")
            print(1_700_000_000_000_001)
        case ["gcloud", "secrets", "versions", "list", secret]:
            # With --filter and --format: a line for each version that is left, and nothing where there is none.
            if secret not in state["valueless"]:
                print(f"projects/1/secrets/{secret}/versions/1")
        case ["gcloud", "container", "clusters", "get-credentials", _]:
            Path(os.environ["KUBECONFIG"]).write_text("{}")
        case ["kubectl", "rollout", "status", "deployment/scoring"]:
            assert Path(os.environ["KUBECONFIG"]).exists()
            if not state["model"]:  # pods answer /readyz with 503 until they have loaded one
                return refuse("timed out waiting for the condition")
        case ["kubectl", "get", "service", "scoring"]:
            state["asked_for_zones"] += 1
            there = state["asked_for_zones"] >= state["zones_after"]
            zones = json.dumps({"zones": state["zones"]})
            print(json.dumps({"metadata": {"annotations": {"cloud.google.com/neg-status": zones} if there else {}}}))
        case ["gcloud", "iam", "service-accounts", "sign-jwt", "/dev/stdin", "-"]:
            import site

            site.main()  # the others start without packages, and so sooner
            import jwt

            print(jwt.encode(json.load(sys.stdin), (CLOUD / "key.pem").read_text(), "RS256"))
        case unknown:
            return refuse(f"nobody has said how to answer {unknown}")
    return 0


def repository(state: dict[str, Any]) -> int:
    if state["api_off"]:
        # https://github.com/googleapis/googleapis/blob/master/google/api/error_reason.proto
        api = "Artifact Registry API has not been used in project 1 before or it is disabled."
        return refuse(f"(gcloud.artifacts.repositories.describe) PERMISSION_DENIED: {api}")
    return 0 if state["repository"] else refuse("NOT_FOUND: Requested entity was not found.")


def describe(image: str, scan: bool, state: dict[str, Any]) -> int:
    # googlecloudsdk/command_lib/artifacts/docker_util.py: DescribeDockerImage
    name, _, digest = image.partition("@")
    digest = digest or state["registry"].get(image, "")
    if digest not in state["registry"].values():
        return refuse("(gcloud.artifacts.docker.images.describe) Image not found.")
    found: dict[str, Any] = {"image_summary": {"digest": digest, "fully_qualified_digest": f"{name}@{digest}"}}
    if scan:
        state["scans"] += 1
        status = state["scan"] if state["scans"] > state["scans_pending"] else "SCANNING"
        found["discovery_summary"] = {"discovery": [{"kind": "DISCOVERY", "discovery": {"analysisStatus": status}}]}
        if state["critical"]:
            found["package_vulnerability_summary"] = {"vulnerabilities": {"CRITICAL": state["critical"]}}
    print(json.dumps(found))
    return 0


def option(arguments: list[str], name: str) -> str:
    return next(each.partition("=")[2] for each in arguments if each.startswith(f"{name}="))


def refuse(says: str) -> int:
    print(f"ERROR: {says}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[0]).name, sys.argv[1:]))
