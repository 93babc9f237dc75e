import gzip
import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from service import history
from service.history import Estimate, Evaluation, FoundChanges
from service.lifecycle import evaluate
from service.lifecycle.evaluate import main
from service.lifecycle.evaluation.quality import NAMES, Target, figures
from service.lifecycle.evaluation.scored import read_scored
from service.lifecycle.evaluation.weighting import missing_days
from service.lifecycle.relations.outcomes import CLIP
from service.lifecycle.runtime.gauges import Gauge
from service.lifecycle.runtime.job_gauges import publish
from service.model import bundle
from service.model.bundle import JudgedOn, Manifest
from tests.facts import states
from tests.service import forge
from tests.service.lifecycle.evaluation.reading.test_completeness import Api, samples
from tests.service.lifecycle.records import NOON
from tests.service.lifecycle.world import World, days, shifted

RIPE = NOON - days(31)


def evaluated(world: World) -> list[Evaluation]:
    return history.latest(world.models, Evaluation, 99)


def scored_world(root: Path, name: str, count: int = 800) -> tuple[World, dict[str, bool]]:
    world = World(root, name)
    pointer = forge.release(world.models)
    return world, world.score(pointer, RIPE - days(5), RIPE, count)


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def runs(mlflow_url: str, name: str) -> list[str]:
    client = MlflowClient(mlflow_url)
    found = client.get_experiment_by_name(name)
    return [run.info.run_id for run in client.search_runs([found.experiment_id])] if found else []


def test_the_champion_is_judged_recorded_and_exported(
    tmp_path: Path, mlflow_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world, outcomes = scored_world(tmp_path, "judged")
    world.tell(outcomes, share=0.75)
    world.source.write_text(world.source.read_text().replace("maturity_days", 'groups = ["country"]\nmaturity_days'))
    countries = [f"{lead},{'DE' if i < 500 else 'AT' if i < 790 else 'LI'}" for i, lead in enumerate(outcomes)]
    world.leads.create("groups/crm.csv", "\n".join(["lead_id,country", *countries, ",DE"]).encode())
    metrics = tmp_path / "figures"
    assert main(world.options(mlflow_url, NOON, "--metrics", str(metrics))) == 0

    (entry,) = evaluated(world)
    assert (entry.leads, entry.without_outcome) == (600, 200)
    assert (entry.since, entry.until) == (NOON - days(58), NOON - days(30))
    assert entry.complete is None
    assert entry.selection is not None
    assert (entry.selection.leads, entry.selection.with_outcome) == (800, 600)
    assert (entry.selection.depends_on_decision, entry.selection.depends_on_score) == (False, False)
    told = list(outcomes)[:600]
    stored = read_scored(world.predictions, NOON - days(90), NOON).table.set_index("lead_id").loc[told]
    manifest = bundle.read_manifest(world.models, entry.model_version)
    target = np.array([outcomes[lead] for lead in told], dtype=np.int8)
    scores = stored["score"].to_numpy(dtype=np.float64)
    wanted = figures(target, scores, manifest.threshold, manifest.economics)
    assert {n: e.value for n, e in entry.figures.items()} == pytest.approx({n: wanted[n] for n in NAMES}, abs=1e-4)

    check_groups(entry, stored.loc[told[:500]], target[:500])
    contacts = [lead for lead, decision in stored["decision"].items() if decision == "contact"]
    won = sum(outcomes[str(lead)] for lead in contacts)
    assert entry.business["contacts"] == len(contacts)
    assert entry.business["profit"] == 100 * won - 10 * len(contacts)
    made = entry.contacts
    assert made
    assert made.earned
    assert (made.revenue, made.cost) == (100 * won, 10 * len(contacts))
    every = read_scored(world.predictions, NOON - days(90), NOON).table["decision"] == "contact"
    called = (stored["decision"] == "contact").to_numpy()
    rate = every.mean() * target[called].mean() + (1 - every.mean()) * target[~called].mean()
    assert made.earned.value == pytest.approx(100 * (won - len(contacts) * rate))
    assert made.earned.low < made.earned.value < made.earned.high
    assert entry.business["random_revenue"] == pytest.approx(100 * target.mean() * len(contacts))
    assert entry.business["all_roi"] == pytest.approx((100 * target.sum() - 6000) / 6000)
    assert sum(b.leads for b in entry.bands) == 600
    assert sum(b.converted for b in entry.bands) == target.sum()

    run = MlflowClient(mlflow_url).get_run(entry.mlflow_run_id)
    assert run.data.metrics["roc_auc"] == entry.figures["roc_auc"].value
    assert run.data.tags["job"] == "evaluate"
    text = (metrics / "evaluate.prom").read_text()
    assert (
        f'leadscoring_evaluation_figure{{figure="roc_auc",job="evaluate"}} {entry.figures["roc_auc"].value!r}' in text
    )
    assert 'leadscoring_evaluation_leads{job="evaluate"} 600' in text
    assert "records_missing" not in text
    assert 'leadscoring_evaluation_outcomes_selected{by="decision",job="evaluate"} 0' in text
    assert gauge(text, "evaluation_contacted_only_seconds") == 0
    check_agreed(text, entry, manifest, float(target.mean()))
    for band in entry.bands:
        assert gauge(text, "conversion_ratio", f'band="{band.band}",') == pytest.approx(band.converted / band.leads)
    assert capsys.readouterr().out.startswith(entry.selection.about)


def gauge(text: str, name: str, labels: str = "", after: str = "") -> float | None:
    """The value of a gauge in a scraped text, by its labels before and after the job; None where it is not there."""
    found = re.search(rf'^leadscoring_{name}{{{labels}job="evaluate"{after}}} (\S+)$', text, re.MULTILINE)
    return float(found[1]) if found else None


def check_agreed(text: str, entry: Evaluation, manifest: Manifest, rate: float) -> None:
    """The agreed metric is published beside training's, and what limits go by; `rate` is of the evaluated leads."""
    of, after = 'agreed_by="us",figure="roc_auc",', ',metric_reason="a test"'
    assert gauge(text, "agreed_figure_high", of, after) == entry.figures["roc_auc"].high
    assert gauge(text, "agreed_benchmark", of, after) == entry.benchmark["roc_auc"]
    assert gauge(text, "agreed_timestamp_seconds", 'agreed_by="us",') == datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    assert gauge(text, "champion_trained_timestamp_seconds") == manifest.provenance.trained_at.timestamp()
    if manifest.judged_on:
        rate = manifest.judged_on.converted / manifest.judged_on.leads
    assert gauge(text, "evaluation_benchmark_rarer_ratio") == pytest.approx(min(rate, 1 - rate))


def check_groups(entry: Evaluation, first: pd.DataFrame, target: Target) -> None:
    """`first` are the leads of the largest group, `target` what came of them."""
    assert [(group.value, group.leads, group.with_outcome) for group in entry.groups] == [
        ("DE", 500, 500),
        (None, 300, 100),  # AT, and LI, which is too small to be alone
    ]
    assert entry.groups[0].conversion
    assert entry.groups[0].conversion.value == pytest.approx(target.mean())
    assert entry.groups[0].mean_score == pytest.approx(first["score"].mean())
    assert entry.groups[0].contact_rate
    assert entry.groups[0].contact_rate.value == pytest.approx((first["decision"] == "contact").mean())
    assert entry.set_aside == {"predictions": 0, "outcomes": 0, "contacts": 0, "groups": 1}


def test_where_only_leads_to_contact_have_outcomes_the_first_line_says_of_whom_the_figures_hold(
    tmp_path: Path, mlflow_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world, outcomes = scored_world(tmp_path, "selected", 1_600)
    decided = read_scored(world.predictions, NOON - days(90), NOON).table.set_index("lead_id")["decision"]
    world.tell({lead: won for lead, won in outcomes.items() if decided[lead] == "contact"})
    assert main(world.options(mlflow_url, NOON)) == 0
    (entry,) = evaluated(world)
    assert entry.selection is not None
    assert entry.selection.depends_on_decision
    assert entry.selection.with_outcome_by_decision == {"contact": 1, "skip": 0}
    assert entry.contacted_only_since == NOON
    assert capsys.readouterr().out.startswith(entry.selection.about)


def contacted_world(root: Path, name: str, explore: float) -> tuple[World, dict[str, bool]]:
    """A world whose outcomes are those of contacted leads, and all outcomes."""
    world = World(root, name)
    world.contacted_only()
    outcomes = world.score(forge.release(world.models), RIPE - days(5), RIPE, 2_400, explore=explore)
    decided = read_scored(world.predictions, NOON - days(90), NOON).table.set_index("lead_id")["decision"]
    world.tell({lead: won for lead, won in outcomes.items() if decided[lead] == "contact"})
    return world, outcomes


def test_explored_leads_make_figures_of_contacted_ones_those_of_all(
    tmp_path: Path, mlflow_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world, outcomes = contacted_world(tmp_path, "explored", 0.3)
    assert main(world.options(mlflow_url, NOON, "--metrics", str(tmp_path))) == 0
    (entry,) = evaluated(world)
    assert entry.weighting is not None
    assert entry.exploration is not None
    assert entry.weighting.enough
    assert entry.weighting.clip == CLIP
    assert entry.exploration.contacts == entry.weighting.explored > 50
    assert entry.weighting.effective < entry.leads
    table = read_scored(world.predictions, NOON - days(90), NOON).table.set_index("lead_id").loc[list(outcomes)]
    manifest = bundle.read_manifest(world.models, entry.model_version)
    target = np.array(list(outcomes.values()), dtype=np.int8)
    wanted = figures(target, table["score"].to_numpy(np.float64), manifest.threshold, manifest.economics)
    for name in ("roc_auc", "brier", "profit", "recall"):
        found = entry.figures[name]
        assert abs(found.value - wanted[name]) < found.high - found.low, name
    out = capsys.readouterr().out
    assert f"effective sample size is {entry.weighting.effective:,.0f}" in out
    assert "exploring:" in out
    file = MlflowClient(mlflow_url).download_artifacts(entry.mlflow_run_id, "report.html", str(tmp_path))
    assert "What exploring cost and brought" in Path(file).read_text()
    text = (tmp_path / "evaluate.prom").read_text()
    assert gauge(text, "exploration_contacts") == entry.exploration.contacts
    assert gauge(text, "evaluation_contacted_only_seconds") == 0
    straddling = table["band"] == "B"  # the line is within it
    above = (table["score"] >= manifest.threshold)[straddling]
    won, called = target[straddling], (table["decision"] == "contact")[straddling]
    of_all = above.mean() * won[above].mean() + (1 - above.mean()) * won[called & ~above].mean()
    assert gauge(text, "conversion_ratio", 'band="B",') == pytest.approx(of_all)
    assert of_all < won[called].mean() - 0.03  # of the contacted leads alone


def test_without_exploration_there_is_no_figure_of_all_leads_and_the_first_line_says_so(
    tmp_path: Path, mlflow_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world, _ = contacted_world(tmp_path, "unexplored", 0.0)
    before = [Gauge("leadscoring_evaluation_figure", 0.9, {"figure": "roc_auc"})]
    publish(str(tmp_path), "evaluate", before, world.models)
    for later in (0, 1):
        assert main(world.options(mlflow_url, NOON + days(later), "--metrics", str(tmp_path))) == 0
        entry = evaluated(world)[-1]
        assert entry.figures == {}
        assert entry.weighting is not None
        assert not entry.weighting.enough
        assert (entry.exploration, entry.comparison) == (None, None)
        assert entry.business["contacts"] == entry.leads
        assert not {name for name in entry.business if name.startswith(("random_", "all_"))}
        assert entry.selection is not None
        assert "no figures of all leads" in entry.selection.about
        out = capsys.readouterr().out
        assert out.startswith(entry.selection.about)
        assert "ROC-AUC" not in out
        assert "roc auc" not in out
    file = MlflowClient(mlflow_url).download_artifacts(entry.mlflow_run_id, "report.html", str(tmp_path))
    html = Path(file).read_text()
    assert "no figures of all leads" in html
    shown = html[html.index("<h2>Bands") : html.index("<h2>Segments")]
    assert re.search(r"too few</td>\s*<td[^>]*>0\.\d{4}", shown)  # no share that converted, beside the mean score
    gauges = (tmp_path / "evaluate.prom").read_text()
    assert "leadscoring_evaluation_figure" not in gauges  # those of before say nothing of these leads
    assert "leadscoring_evaluation_effective_leads" in gauges
    assert gauge(gauges, "evaluation_contacted_only_seconds") == days(1).total_seconds()
    ratio = entry.bands[0].converted / entry.bands[0].leads
    of_bands = [gauge(gauges, "conversion_ratio", f'band="{name}",') for name in "ABC"]
    assert of_bands == [pytest.approx(ratio), None, None]  # B and C have leads below the line, and none with an outcome


def test_with_too_few_explored_leads_the_first_line_says_in_how_many_days_there_are_enough(
    tmp_path: Path, mlflow_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world, _ = contacted_world(tmp_path, "few", 0.01)
    assert main(world.options(mlflow_url, NOON)) == 0
    (entry,) = evaluated(world)
    assert entry.weighting is not None
    assert 0 < entry.weighting.explored < 50
    assert entry.figures == {}
    missing = missing_days(entry.weighting, 5)  # explored in the last 5 of the 28 days that are looked at
    assert missing
    said = re.search(r"([\d,]+) more days", capsys.readouterr().out.splitlines()[0])
    assert said
    assert int(said[1].replace(",", "")) == pytest.approx(missing, rel=0.2)


def test_a_lead_without_an_outcome_counts_as_lost_where_the_source_says_so(tmp_path: Path, mlflow_url: str) -> None:
    world, outcomes = scored_world(tmp_path, "absent")
    keys = world.source.read_text().replace("maturity_days = 30", 'time_column = "at"\nabsent_after_days = 30')
    world.source.write_text(keys)
    (tmp_path / "own.csv").write_text("visits,at,won\n1,2026-01-01,Yes\n2,2026-01-02,\n")
    wins = [lead for lead, converted in outcomes.items() if converted]
    world.leads.create("outcomes/wins.csv", "\n".join(["lead_id,won", *(f"{lead},YES" for lead in wins)]).encode())
    assert main(world.options(mlflow_url, NOON)) == 0
    (entry,) = evaluated(world)
    assert (entry.leads, entry.taken_as_lost, entry.without_outcome) == (800, 800 - len(wins), 0)
    assert sum(band.converted for band in entry.bands) == len(wins)


def test_the_report_needs_no_network_names_no_lead_and_escapes_what_leads_say(tmp_path: Path, mlflow_url: str) -> None:
    world, outcomes = scored_world(tmp_path, "reported")
    world.tell(outcomes)
    for file in sorted((tmp_path / "predictions").rglob("*.gz")):
        lines = gzip.decompress(file.read_bytes()).replace(b'"retail"', b'"<script>alert(1)</script>"')
        file.write_bytes(gzip.compress(lines))
    assert main(world.options(mlflow_url, NOON)) == 0
    (entry,) = evaluated(world)
    file = MlflowClient(mlflow_url).download_artifacts(entry.mlflow_run_id, "report.html", str(tmp_path))
    html = Path(file).read_text()
    assert "&lt;script&gt;alert(1)" in html
    assert "<script" not in html
    assert not re.search(r"L-1-\d{5}", html)
    assert not re.search(r'(src|href|srcset)="(?!data:)', html)
    assert html.count('<img src="data:image/png;base64,') == 6
    assert "prefers-color-scheme: dark" in html


def test_a_second_run_changes_nothing(tmp_path: Path, mlflow_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    world, outcomes = scored_world(tmp_path, "twice")
    world.tell({**outcomes, "": True})  # a row to set aside
    assert main(world.options(mlflow_url, NOON)) == 0
    before = everything(tmp_path), runs(mlflow_url, "twice")
    assert len(before[1]) == 1
    assert main(world.options(mlflow_url, NOON)) == 0
    assert (everything(tmp_path), runs(mlflow_url, "twice")) == before
    assert "evaluated already" in capsys.readouterr().err


def test_bad_rows_are_set_aside_and_named(tmp_path: Path, mlflow_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    world, outcomes = scored_world(tmp_path, "quarantined")
    world.tell(outcomes, "a.csv")
    world.leads.create("outcomes/b.csv", b"lead_id,won\nL-1-00001,\nstranger,no\n")
    world.leads.create("outcomes/c.csv", b"\x1f\x8bnonsense")
    world.leads.create("contacts/d.csv", b"\x1f\x8bnonsense")
    folder = next((tmp_path / "predictions").rglob("*.gz")).parent
    (folder / "broken.jsonl.gz").write_bytes(b"broken")
    assert main(world.options(mlflow_url, NOON)) == 0
    shown = capsys.readouterr()
    lines = shown.err.splitlines()
    states(lines, "outcomes/b.csv", "row 2", "won", "no outcome")
    states(lines, "broken.jsonl.gz", "gzip")
    states(lines, "1 outcomes", "not scored")
    kinds = sorted(key.split("/")[1] for key in world.leads.keys("quarantine/"))
    assert kinds == ["contacts", "outcomes", "outcomes", "predictions"]
    (entry,) = evaluated(world)
    assert entry.leads == 800
    assert entry.contacts
    states(entry.contacts.doubt, "1 list of contacts")
    assert shown.out.startswith(f"Contacts may be missing: {entry.contacts.doubt}. The figures are of all")
    file = MlflowClient(mlflow_url).download_artifacts(entry.mlflow_run_id, "report.html", str(tmp_path))
    assert f'class="bad">Contacts may be missing: {entry.contacts.doubt}' in Path(file).read_text()


def test_conversions_in_capitals_count_and_another_file_is_set_aside_whole(
    tmp_path: Path, mlflow_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world, outcomes = scored_world(tmp_path, "capitals")
    lines = [f"{lead},{'Yes' if won else 'No'}" for lead, won in outcomes.items()]
    world.leads.create("outcomes/a.csv", "\n".join(["lead_id,won", *lines]).encode())
    world.leads.create("outcomes/b.csv", b"lead_id,won\nL-1-00001,open\nL-1-00002,no\n")
    assert main(world.options(mlflow_url, NOON)) == 0
    states(capsys.readouterr().err.splitlines(), "outcomes/b.csv", "'won'", "neither", "'yes'", "'no'")
    (entry,) = evaluated(world)
    assert sum(band.converted for band in entry.bands) == sum(outcomes.values())


def test_without_the_sources_file_no_outcome_is_read(
    tmp_path: Path, mlflow_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world, outcomes = scored_world(tmp_path, "gone")
    world.tell(outcomes)
    (tmp_path / "own.csv").unlink()
    assert main(world.options(mlflow_url, NOON)) == 2
    assert "own.csv: cannot be read" in capsys.readouterr().err
    assert evaluated(world) == []


@pytest.mark.parametrize(
    ("share", "converted", "reason"),
    [(0.1, None, "80 leads"), (1.0, False, "of which 0 converted"), (0.0, None, "0 leads")],
)
def test_too_few_leads_or_one_sided_ones_are_a_clear_line_and_no_entry(
    share: float,
    converted: bool | None,
    reason: str,
    tmp_path: Path,
    mlflow_url: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    world, outcomes = scored_world(tmp_path, f"few-{int(10 * share)}")
    if share:
        world.tell(outcomes if converted is None else dict.fromkeys(outcomes, converted), share=share)
    assert main(world.options(mlflow_url, NOON)) == 1
    assert reason in capsys.readouterr().err
    assert evaluated(world) == []
    assert runs(mlflow_url, f"few-{int(10 * share)}") == []


def test_without_a_model_there_is_nothing_to_evaluate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(World(tmp_path).options("http://127.0.0.1:9", NOON)) == 1
    assert "serves no model" in capsys.readouterr().err


@pytest.mark.slow
def test_every_version_is_judged_on_its_own_leads_and_a_young_champion_gives_way(
    tmp_path: Path, mlflow_url: str
) -> None:
    world = World(tmp_path, "versions")
    old = forge.release(world.models, seed=0, version="20260101T000000Z-old")
    first = world.score(old, RIPE - days(8), RIPE - days(4), 300, seed=1)
    new = forge.release(world.models, seed=5, version="20260102T000000Z-new")
    second = world.score(new, RIPE - days(4), RIPE, 400, seed=2)
    world.tell(first | second)
    assert main(world.options(mlflow_url, NOON)) == 0
    forge.release(world.models, seed=6, version="20260103T000000Z-young")
    assert main(world.options(mlflow_url, NOON + days(1))) == 0
    settled, unsettled = evaluated(world)
    assert (settled.model_version, settled.leads) == (new.version, 400)
    assert [(v.version, v.leads) for v in settled.versions] == [(new.version, 400), (old.version, 300)]
    assert settled.versions[0].figures == settled.figures
    assert unsettled.model_version == new.version
    assert "this is about" in unsettled.changes[0]


@pytest.mark.slow
def test_changes_beyond_noise_are_said(tmp_path: Path, mlflow_url: str) -> None:
    world, outcomes = scored_world(tmp_path, "changed")
    world.tell(outcomes)
    world.tell(shifted(outcomes, 0.3), "later.csv")
    assert main(world.options(mlflow_url, NOON)) == 0
    (entry,) = evaluated(world)
    states(entry.changes, "roc auc", "worse", "training", "0.8000")


def test_evaluations_of_contacted_leads_alone_are_counted_from_the_first_in_a_row() -> None:
    def since(earlier: list[datetime | None], enough: bool | None, depends: bool) -> datetime | None:
        entries: Any = [SimpleNamespace(contacted_only_since=each) for each in earlier]
        selection: Any = SimpleNamespace(depends_on_decision=depends, depends_on_score=True)
        weighting: Any = None if enough is None else SimpleNamespace(enough=enough)
        return evaluate._contacted_only_since(selection, weighting, entries, NOON)

    begun = NOON - days(9)
    assert since([], None, depends=True) == NOON
    assert since([begun], None, depends=True) == begun
    assert since([begun, None], enough=False, depends=True) == NOON  # the last one held for all leads
    assert since([begun], enough=False, depends=False) == begun
    assert since([begun], enough=True, depends=True) is None
    assert since([begun], None, depends=False) is None


def test_a_version_is_first_compared_when_it_has_enough_leads_or_had_a_whole_window() -> None:
    figures = {"roc_auc": Estimate(0.6, 0.55, 0.65)}
    judged = JudgedOn(leads=1_000, converted=100, errors={"roc_auc": 0.01}, optimism={})
    manifest = SimpleNamespace(version="v", benchmark={"roc_auc": 0.8}, judged_on=judged)

    def look(leads: int, served_since: datetime) -> FoundChanges | None:
        headline: Any = SimpleNamespace(manifest=manifest, whole=SimpleNamespace(figures=figures, leads=leads))
        loop: Any = None
        return evaluate._comparison(loop, headline, (RIPE, NOON), [], served_since)

    assert look(evaluate.COMPARED - 1, RIPE + days(1)) is None
    for leads, since in ((evaluate.COMPARED, RIPE + days(1)), (100, RIPE)):
        found = look(leads, since)
        assert found
        assert found.look == len(found.changes) == 1


@pytest.mark.slow
def test_windows_apart_are_compared(tmp_path: Path, mlflow_url: str) -> None:
    world = World(tmp_path, "apart")
    pointer = forge.release(world.models)
    good = world.score(pointer, RIPE - days(5), RIPE, 800, seed=1)
    bad = world.score(pointer, RIPE + days(5), RIPE + days(9), 800, seed=2)
    world.tell(good | shifted(bad, 0.3))
    for later in (0, 10):
        assert main(world.options(mlflow_url, NOON + days(later), "--days", "7")) == 0
    before, after = evaluated(world)
    earlier = f"with {pointer.version} until {before.until:%Y-%m-%d}"
    assert any(c.startswith(f"brier is worse than {earlier}") for c in after.changes)
    assert not any("until" in c for c in before.changes)


@pytest.mark.slow
def test_leads_are_compared_once_and_what_was_found_stays(tmp_path: Path, mlflow_url: str) -> None:
    world = World(tmp_path, "once")
    pointer = forge.release(world.models)
    first = world.score(pointer, RIPE - days(5), RIPE, 800, seed=1)
    later = world.score(pointer, RIPE + days(5), RIPE + days(9), 800, seed=2)
    world.tell(shifted(first, 0.4) | later)
    for after in (0, 1, 10):
        assert main(world.options(mlflow_url, NOON + days(after), "--days", "7")) == 0
    one, same, two = (entry.comparison for entry in evaluated(world))
    assert one
    assert two
    assert (one.look, one.until, two.look) == (1, evaluated(world)[0].until, 2)
    assert one.changes
    assert same == one
    states(evaluated(world)[1].changes, one.changes[0], f"leads scored until {one.until:%Y-%m-%d}")


@pytest.mark.slow
def test_missing_records_mark_the_evaluation_as_incomplete(
    tmp_path: Path, mlflow_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world, outcomes = scored_world(tmp_path, "incomplete")
    world.tell(outcomes)
    api = Api()
    start: datetime = RIPE - days(6)
    api.series["pod"] = [*samples(start, 60 * 24, 0), *samples(start + days(1), 400, 2), *samples(RIPE, 30, 0, 800)]
    try:
        assert main(world.options(mlflow_url, NOON, "--counter", api.url)) == 0
        api.series["pod"] = [(at, value * 1.01) for at, value in api.series["pod"]]
        assert main(world.options(mlflow_url, NOON + days(1), "--counter", api.url)) == 0
    finally:
        api.server.shutdown()
        api.server.server_close()
    whole, lacking = evaluated(world)
    assert (whole.complete, whole.missing_records) == (True, 0)
    assert lacking.complete is False
    assert lacking.missing_records == pytest.approx(0.01 / 1.01)
    assert "INCOMPLETE" in capsys.readouterr().err
