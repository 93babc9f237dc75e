"""Real Prometheus and real Alertmanager over the platform, with the catalogue's rules on a faster clock."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from service.local.processes import Processes, Program, free
from tests.drill.pagerduty import KEY

FASTER = 60
"""The one factor that durations are divided by: an hour is a minute."""
SCRAPE_S, EVALUATE_S, LOOKBACK_S = 30 / FASTER, 60 / FASTER, 300 / FASTER
"""Of the cluster's PodMonitoring, of Cloud Monitoring's policies, and Prometheus' own."""
NEEDED = {"prometheus": "prometheus", "prometheus-alertmanager": "prometheus-alertmanager"}
"""Programs, and the Debian packages that bring them."""


class NoProgram(Exception):
    """A program is not on this machine; the message names its package."""


def find() -> None:
    """Raise NoProgram where Prometheus or Alertmanager is missing."""
    if missing := [package for program, package in NEEDED.items() if not shutil.which(program)]:
        raise NoProgram(f"no {' and no '.join(missing)} on PATH; scripts/install-system brings it on Debian, as root")


def rules(jobs: dict[str, tuple[str, int]]) -> str:
    """The catalogue's rules for these jobs (cron line, time-out in minutes), without what reads Google's metrics."""
    command = [sys.executable, "-m", "monitoring.prometheus", "--without-google", "--faster", str(FASTER)]
    command += [word for name, (cron, minutes) in jobs.items() for word in ("--job", f"{name}={cron}={minutes}")]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def start(
    processes: Processes, home: Path, targets: list[int], rule_file: str, pagerduty: str, runbooks: str
) -> tuple[Program, ...]:
    """Start both; return when they are ready. `targets` are the ports of 127.0.0.1 that are scraped."""
    home.mkdir(parents=True, exist_ok=True)
    port, alerts_port = free(), free()
    (home / "rules.yml").write_text(rule_file)
    (home / "pagerduty.key").write_text(KEY)
    os.chmod(home / "pagerduty.key", 0o600)
    (home / "prometheus.yml").write_text(json.dumps(_prometheus(targets, alerts_port)))  # JSON is YAML
    (home / "alertmanager.yml").write_text(json.dumps(_alertmanager(home, pagerduty, runbooks)))
    alertmanager = processes.start(
        "alertmanager",
        [
            "prometheus-alertmanager",
            f"--config.file={home}/alertmanager.yml",
            f"--storage.path={home}/alertmanager",
            f"--web.listen-address=127.0.0.1:{alerts_port}",
            "--cluster.listen-address=",
        ],
        {},
    )
    prometheus = processes.start(
        "prometheus",
        [
            "prometheus",
            f"--config.file={home}/prometheus.yml",
            f"--storage.tsdb.path={home}/prometheus",
            f"--web.listen-address=127.0.0.1:{port}",
            f"--query.lookback-delta={LOOKBACK_S:g}s",
        ],
        {},
    )
    alertmanager.wait_until_answers(f"http://127.0.0.1:{alerts_port}/-/ready")
    prometheus.wait_until_answers(f"http://127.0.0.1:{port}/-/ready")
    return alertmanager, prometheus


def _prometheus(targets: list[int], alerts_port: int) -> dict[str, object]:
    return {
        "global": {
            "scrape_interval": _ms(SCRAPE_S),
            "scrape_timeout": _ms(SCRAPE_S),
            "evaluation_interval": _ms(EVALUATE_S),
        },
        "rule_files": ["rules.yml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alerts_port}"]}]}]},
        # The jobs' figures say themselves whose they are.
        "scrape_configs": [
            {
                "job_name": "platform",
                "honor_labels": True,
                "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in targets]}],
            }
        ],
    }


def _alertmanager(home: Path, pagerduty: str, runbooks: str) -> dict[str, object]:
    receiver = {
        "url": pagerduty,
        "routing_key_file": f"{home}/pagerduty.key",
        "send_resolved": True,
        # As the policies in the cloud have them: a page is critical, a ticket a warning.
        "severity": '{{ if eq .CommonLabels.severity "page" }}critical{{ else }}warning{{ end }}',
        "class": "{{ .CommonLabels.alertname }}",
        "description": "{{ .CommonAnnotations.summary }}",
        "links": [{"href": f"{runbooks}/{{{{ .CommonAnnotations.runbook }}}}", "text": "Runbook"}],
    }
    route = {
        "receiver": "pagerduty",
        "group_by": ["alertname"],
        "group_wait": "500ms",
        "group_interval": "1s",
        "repeat_interval": "1h",
    }
    return {"route": route, "receivers": [{"name": "pagerduty", "pagerduty_configs": [receiver]}]}


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f}ms"
