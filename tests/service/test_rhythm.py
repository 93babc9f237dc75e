"""Schedule, trigger, cool-down and windows are the same in the cloud, on one machine, in a replay and in the README."""

import inspect
import re
import sys
from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from infra.environment import Environment
from infra.environments import ENVIRONMENTS
from infra.stacks.lifecycle import _lifecycle
from service.history import Decision
from service.lifecycle import drift, evaluate, retrain
from service.lifecycle.backtest import strategies
from service.lifecycle.data.source import load_source
from service.lifecycle.runtime import runner
from service.lifecycle.runtime.runner import Loop
from service.local import scheduler
from service.rhythm import LOOP
from service.storage import open_storage

SERVICE = Path(__file__).parents[2] / "service"
README, SAMPLE = SERVICE / "lifecycle/README.md", SERVICE / "examples/sample.toml"
NOW = datetime(2026, 3, 1, tzinfo=UTC)
JOBS: dict[str, Any] = {"evaluate": evaluate, "drift": drift, "retrain": retrain}


def defaults(name: str, monkeypatch: pytest.MonkeyPatch) -> Namespace:
    """What the job does that is told nothing."""
    found: list[Namespace] = []

    def parsed(_: str, parser: ArgumentParser, *others: object) -> int:
        required = ["--source", "x", "--models", "x", "--predictions", "x", "--leads", "x", "--tracking", "x"]
        found.append(parser.parse_args(required))
        return 0

    monkeypatch.setattr(JOBS[name], "run", parsed, raising=False)
    monkeypatch.setattr(runner, "run", parsed)
    JOBS[name].main([])
    return found[0]


def test_the_cloud_and_one_machine_run_the_jobs_by_the_same_cron_lines() -> None:
    fields = Environment.model_fields
    assert {job: fields[f"{job}_schedule"].default for job in LOOP.crons} == LOOP.crons
    for env in ENVIRONMENTS.values():
        assert {job: getattr(env, f"{job}_schedule") for job in LOOP.crons} == LOOP.crons
    assert scheduler.SCHEDULE.items() <= LOOP.crons.items()


def test_the_jobs_look_over_the_days_of_the_rhythm_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated, compared, trained = (defaults(name, monkeypatch) for name in JOBS)
    assert evaluated.days == LOOP.evaluated_days
    assert (compared.days, compared.leads_at_least) == (LOOP.drift_days, LOOP.drift_leads)
    assert (trained.trigger, trained.cool_down) == (LOOP.trigger, LOOP.cool_down_days)
    windows = {name: days for name, (_, days) in scheduler.WINDOWS.items()}
    assert windows == {"evaluate": evaluated.days, "drift": compared.days, "retrain": trained.cool_down}
    called = inspect.signature(retrain.retrain).parameters
    assert (called["trigger"].default, called["cool_down"].default) == (
        LOOP.trigger,
        timedelta(days=LOOP.cool_down_days),
    )


def test_no_job_of_the_cloud_is_told_another_window_or_trigger() -> None:
    for env in ENVIRONMENTS.values():
        told = {part for job in _lifecycle(env, "http://tracking") if job.name in JOBS for part in job.arguments}
        assert told & {"--days", "--leads-at-least", "--trigger", "--cool-down", "--force"} == set()


def test_a_replay_runs_the_jobs_as_the_cloud_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}
    decided = Decision(
        time=NOW, action="kept", trigger=LOOP.trigger, version=None, before="one", author="a test", reason="a test"
    )

    def retrained(_: Loop, *given: object, **named: object) -> Decision:
        asked["retrain"] = inspect.signature(retrain.retrain).bind(_, *given, **named).arguments
        return decided

    monkeypatch.setattr(strategies, "evaluate", lambda _, options: asked.update(evaluate=options))
    monkeypatch.setattr(strategies, "drift", lambda _, options: asked.update(drift=options))
    monkeypatch.setattr(strategies, "retrain", retrained)
    models, predictions, leads = (open_storage(str(tmp_path / place)) for place in ("models", "predictions", "leads"))
    loop = Loop(load_source(SAMPLE), models, predictions, leads, "", NOW, print, print)
    world: Any = None
    assert strategies.closed_loop(strategies.Moment(world, 2, loop)).action == "kept"
    assert asked["evaluate"].days == LOOP.evaluated_days
    assert (asked["drift"].days, asked["drift"].leads_at_least) == (LOOP.drift_days, LOOP.drift_leads)
    assert asked["retrain"]["trigger"] == LOOP.trigger
    assert asked["retrain"]["cool_down"] == timedelta(days=LOOP.cool_down_days)


def test_the_readme_states_the_rhythm() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (`[^|]*`[^|]*) \|$", README.read_text(), re.MULTILINE))
    for job, cron in LOOP.crons.items():
        assert rows[job].startswith(f"`{cron}`"), job
    assert f"over {LOOP.evaluated_days:g} days" in rows["evaluate"]
    assert f"over {LOOP.drift_days:g} days" in rows["drift"]
    assert f"{LOOP.drift_leads} leads" in rows["drift"]
    assert f"trigger `{LOOP.trigger}`, {LOOP.cool_down_days:g} days" in rows["retrain"]


def test_the_readme_says_what_each_scheduled_job_does() -> None:
    section = README.read_text().split("## Run the closed loop")[1].split("\n### ")[0]
    explained = set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE))
    assert LOOP.crons.keys() <= explained


def test_what_the_stacks_import_needs_no_library_of_the_service() -> None:
    """Where the stacks alone are made, or with another CDK, those are not installed."""
    root = SERVICE.parent
    waiting = list((root / "infra").rglob("*.py"))
    seen, needed = set(waiting), dict[str, str]()
    while waiting:
        file = waiting.pop()
        for name in re.findall(r"^(?:from|import) (service\S*|\w+)", file.read_text(), re.M):
            found = root / (name.replace(".", "/") + ".py")
            if name.startswith("service.") and found not in seen:
                seen.add(found)
                waiting.append(found)
            elif file.is_relative_to(SERVICE) and name not in sys.stdlib_module_names:
                needed[name] = file.name
    assert needed.keys() <= {"pydantic", "pydantic_settings"}, needed
