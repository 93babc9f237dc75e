"""Renders alerts as a Prometheus rule file: `python -m monitoring.prometheus > rules.yaml`."""

import argparse
import sys
from collections.abc import Iterable
from datetime import timedelta

import yaml
from cronsim import CronSimError

from monitoring import catalogue, google
from monitoring.alerts import Alert
from monitoring.platform import Job, Platform
from monitoring.promql.text import duration, metric_names

EPILOG = """examples:
  python -m monitoring.prometheus > rules.yaml
  python -m monitoring.prometheus --job 'drift=*/30 * * * *=10' --without-google --faster 60
"""
FACTORS = [n for n in range(1, 61) if 60 % n == 0]
"""Holds are whole minutes, and stay whole seconds."""

SILENCED = "\nunless on ()\n"
"""Stands before a condition that another alert tells of."""


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as a block, so that an expression reads as it was written."""


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


def rules(alerts: Iterable[Alert]) -> str:
    """A rule file (YAML) with one group; each expr is the alert's, byte for byte."""
    group = {"name": "leadscoring", "rules": [_rule(alert) for alert in alerts]}
    return yaml.dump({"groups": [group]}, Dumper=_Dumper, sort_keys=False, width=110)


def _rule(alert: Alert) -> dict[str, object]:
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": duration(alert.hold),
        "labels": {"severity": alert.severity.value},
        "annotations": {"summary": alert.summary, "runbook": alert.runbook},
    }


def main(arguments: list[str] | None = None) -> int:
    """Write the rule file to standard output."""
    parser = argparse.ArgumentParser(
        prog="python -m monitoring.prometheus",
        description="Write every alert as a Prometheus rule file.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--job",
        type=_job,
        action="append",
        metavar="NAME=CRON=MINUTES",
        help="a job that is scheduled, and its time-out; may be given again (default: all, as environments have them)",
    )
    parser.add_argument("--without-google", action="store_true", help="leave out alerts that read Google's metrics")
    parser.add_argument(
        "--faster", type=int, default=1, metavar="N", choices=FACTORS, help="divide durations by N, a divisor of 60"
    )
    options = parser.parse_args(arguments)
    alerts = catalogue.alerts(Platform(jobs=tuple(options.job)) if options.job else catalogue.DEFAULT)
    if options.without_google:
        alerts = tuple(alert for alert in alerts if not _needs_google(alert))
    if options.faster > 1:
        # Imported here: its parser belongs to the tools of development, which a plain rule file does not need.
        from monitoring.promql.timescale import faster

        alerts = tuple(faster(alert, options.faster) for alert in alerts)
    sys.stdout.write(rules(alerts))
    return 0


def _needs_google(alert: Alert) -> bool:
    """Whether it never fires without Google's metrics. What only silences it (`unless`) may be missing.

    Metrics of the cluster's pods are not meant: kube-state-metrics exports them everywhere.
    """
    needed, *_ = alert.expr.split(SILENCED)
    return any(metric.source != google.KUBE_STATE for name in metric_names(needed) if (metric := google.of(name)))


def _job(text: str) -> Job:
    try:
        name, cron, minutes = text.split("=")
        job = Job(name, cron, timedelta(minutes=int(minutes)))
        job.gap  # noqa: B018 - reads the cron line
    except (ValueError, CronSimError) as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}; give NAME=CRON=MINUTES") from error
    return job


if __name__ == "__main__":
    sys.exit(main())
