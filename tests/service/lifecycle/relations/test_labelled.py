"""The relations find the leads that the row-wise reference finds."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.lifecycle.evaluation.cells import ScoreCells
from service.lifecycle.evaluation.confidence import estimates
from service.lifecycle.evaluation.outcomes import Outcomes, judge
from service.lifecycle.evaluation.quality import Scores, Target, figures
from service.lifecycle.evaluation.reading.window import COLUMNS
from service.lifecycle.evaluation.version_quality import CELL_RESULTS, version_cells, write_cells
from service.lifecycle.relations.duck import opened
from service.lifecycle.relations.first_scores import first_scores
from service.lifecycle.relations.outcomes import CONTRADICTED, OPEN, OUTCOME_ROWS, LabelRules, labelled, outcomes
from service.model import bundle
from service.model.bundle import Manifest
from service.model.decide import contacts_made
from service.reading.ids import join_key
from service.storage import open_storage
from tests.service import forge
from tests.service.lifecycle.evaluation.row_wise import as_scored
from tests.service.lifecycle.records import NOON, record, upload

DAY = timedelta(days=1)
SINCE, UNTIL = NOON - 10 * DAY, NOON + DAY
LEADS = ["a", "b", "c", "0019000000oC4Hk", "0019000000oC4HkAAK", "page-1"]
DRAWN = st.sampled_from([0.0, 0.1, 0.2, 0.2 + 1e-9, 0.5, 0.9])


@st.composite
def drawn(draw: st.DrawFn) -> dict[str, Any]:
    """One record, as `record` takes it."""
    return {
        "lead": draw(st.sampled_from(LEADS) | st.integers(0, 40).map(str)),
        "time": NOON - draw(st.integers(0, 9)) * DAY,
        "request_id": draw(st.sampled_from(["r1", "r2"])),
        "score": draw(DRAWN),
        "role": draw(st.sampled_from([None, "champion", "champion", "shadow"])),
        "channel": draw(st.sampled_from([None, "api", "api", "batch", "trial"])),
        "decision": draw(st.sampled_from(["contact", "skip"])),
    }


def key(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["lead_key"], row["score"], row["target"]


@given(st.lists(drawn(), min_size=1, max_size=40), st.booleans(), st.data())
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_labelled_leads_are_those_of_the_row_wise_reference(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], absent_is_lost: bool, data: st.DataObject
) -> None:
    predictions = open_storage(str(tmp_path_factory.mktemp("predictions")))
    found = [record(**row) for row in rows]
    upload(predictions, found)
    keys = sorted({"a", "b", "c", "0019000000oC4Hk", "stranger"})
    states = {lead: data.draw(st.sampled_from([0, 1, OPEN, CONTRADICTED, None])) for lead in keys}
    told = {lead: state == 1 for lead, state in states.items() if state in (0, 1)}
    rows_of: dict[Any, list[bool | None]] = {0: [False], 1: [True], OPEN: [None], CONTRADICTED: [True, False], None: []}
    table = [(lead, said) for lead, state in states.items() for said in rows_of[state]]
    empty = dict.fromkeys(("time", "id_text", "outcome_text"))
    with opened(predictions, SINCE, UNTIL) as engine:
        with engine.writing("outcome_rows", OUTCOME_ROWS) as write:
            every = [
                {"lead_key": lead, "converted": said, "file_number": 0, "row": i, **empty}
                for i, (lead, said) in enumerate(table)
            ]
            write(pa.Table.from_pylist(every, schema=OUTCOME_ROWS))
        ripe = NOON - 3 * DAY
        complete = ripe if absent_is_lost else None
        rules = LabelRules(ripe, 3 * DAY, complete)
        engine.define([*first_scores(SINCE), *outcomes(), *labelled(["lead_key", "score"], rules)])
        results = engine.results(["labelled", "label_counts"])
    reference = Outcomes(
        told,
        (),
        frozenset(lead for lead, state in states.items() if state == OPEN),
        frozenset(lead for lead, state in states.items() if state == CONTRADICTED),
    )
    judged = judge(as_scored(found), reference, NOON, 3 * DAY, absent_is_lost)
    wanted = zip(judged.scored.table["lead_id"].map(join_key), judged.scored.table["score"], judged.target, strict=True)
    assert sorted(map(key, results["labelled"].to_pylist())) == sorted(wanted)
    (counts,) = results["label_counts"].to_pylist()
    assert (counts["lost"], counts["without_outcome"]) == (judged.taken_as_lost, judged.without_outcome)
    assert len(told) - counts["known"] == judged.not_scored


def cells_of(
    folder: Path, scores: Scores, target: Target, times: list[datetime], capacity: int
) -> tuple[Manifest, ScoreCells]:
    """The cells of these leads, scored at these times by a version whose team has this capacity."""
    models, predictions = open_storage(str(folder / "models")), open_storage(str(folder / "predictions"))
    manifest: Manifest = bundle.read_manifest(models, forge.release(models).version)
    economics = manifest.economics.model_copy(update={"contacts_per_1000_leads": capacity})
    manifest = manifest.model_copy(update={"economics": economics})
    upload(
        predictions,
        [
            record(
                f"L{i}",
                time,
                model_version=manifest.version,
                score=float(score),
                decision="contact" if score >= manifest.threshold else "skip",
            )
            for i, (score, time) in enumerate(zip(scores, times, strict=True))
        ],
    )
    count = len(scores)
    with opened(predictions, SINCE, UNTIL) as engine:
        with engine.writing("outcome_rows", OUTCOME_ROWS) as write:
            rows = {"lead_key": [f"L{i}" for i in range(count)], "converted": target == 1}
            blank = {name: pa.nulls(count, OUTCOME_ROWS.field(name).type) for name in OUTCOME_ROWS.names[2:]}
            write(pa.table(rows | blank | {"file_number": pa.array([0] * count, pa.int32())}, schema=OUTCOME_ROWS))
        engine.define([*first_scores(SINCE), *outcomes(), *labelled(COLUMNS, LabelRules(NOON, DAY))])
        write_cells(engine, {manifest.version: manifest})
        found = version_cells(engine.results(CELL_RESULTS), manifest.version)
    return manifest, ScoreCells.of_table(found.cells)


@pytest.mark.parametrize("capacity", [1000, 200, 37])
def test_figures_of_cells_from_sql_are_those_of_the_leads_and_capacity_ends_among_equal_scores(
    tmp_path: Path, capacity: int
) -> None:
    draw = np.random.default_rng(1)
    scores = np.round(draw.beta(1, 4, 600), 2)
    target = (draw.random(600) < scores).astype(np.int8)
    manifest, cells = cells_of(tmp_path, scores, target, [NOON] * 600, capacity)
    most, decided = int(capacity * 600 / 1000), scores >= manifest.threshold
    made = min(most, int(decided.sum()))
    assert cells.leads[cells.decided].sum() == pytest.approx(made)
    cut = np.sort(scores[decided])[::-1][made - 1]
    above, tied = scores > cut, scores == cut
    won = target[above].sum() + target[tied].mean() * (made - above.sum())
    assert cells.leads[cells.decided] @ cells.target[cells.decided] == pytest.approx(won)
    wanted = figures(target, scores, manifest.threshold, manifest.economics)
    computed = estimates(cells, manifest.threshold, manifest.economics, draws=10)
    for name in set(computed) - {"profit"}:
        assert computed[name].value == pytest.approx(wanted[name], abs=1e-4), name


@pytest.mark.parametrize("capacity", [100, 37, 1])
def test_the_team_contacts_the_best_of_each_day_and_not_those_of_all_days(tmp_path: Path, capacity: int) -> None:
    draw, count = np.random.default_rng(2), 240
    day = np.arange(count) % 3
    scores = 0.41 + 0.58 * draw.beta(2, 3, count) * (1 + day) / 3  # one day's leads are the best
    target = (draw.random(count) < scores).astype(np.int8)
    manifest, cells = cells_of(tmp_path, scores, target, [NOON - int(d) * DAY for d in day], capacity)
    made = contacts_made(scores, scores >= manifest.threshold, manifest.economics, -day)
    assert cells.leads[cells.decided].sum() == pytest.approx(made.sum())
    assert cells.leads[cells.decided] @ cells.scores[cells.decided] == pytest.approx(scores[made].sum(), rel=1e-3)
    assert made.sum() == capacity * count // 1000
    if capacity > 1:
        assert scores[made].mean() < np.sort(scores)[-made.sum() :].mean() - 0.05
