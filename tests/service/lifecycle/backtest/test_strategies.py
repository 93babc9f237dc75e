"""Strategies see what is final when a block begins, and nothing of what comes later."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from service.lifecycle.backtest.__main__ import recorded
from service.lifecycle.backtest.measures import figures, measure
from service.lifecycle.backtest.strategies import Keep, Kept, Moment, always, closed_loop, follow, never, on_trigger
from service.lifecycle.backtest.world import History, build
from service.lifecycle.data.sample import Drift, Sample, generate
from service.lifecycle.data.source import Source, TrainingRecipe, load_source
from service.model import bundle
from service.model.bundle import Economics
from service.model.contact_rule import ContactRule
from service.model.decide import contact_list, contacts_made, most_contacts
from service.model.stored_rule import replace_rule
from service.records import read_object
from service.storage import Folder

pytestmark = [
    # MLflow's own store, used in this very process, warns of what SQLAlchemy will remove, and of MLflow's own hints.
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning"),
]
EXAMPLES = Path(__file__).parents[4] / "service" / "examples"
FIRST, SIZE, ROWS = 2_000, 1_000, 7_000


def source(file: Path) -> Source:
    sample = load_source(EXAMPLES / "sample.toml")
    recipe = TrainingRecipe(candidate="logistic_regression", half_life_leads=2_000)
    return sample.model_copy(update={"sample": None, "path": str(file), "recipe": recipe, "metric": "roc_auc"})


def turned(folder: Path, name: str, future: int = ROWS) -> History:
    """Leads whose engagement stops to matter with the first block; from the row `future` on all outcomes are turned."""
    drift = Drift(kind="concept", start=FIRST / ROWS)
    frame = generate(Sample(rows=ROWS, seed=4, drift=drift)).frame.drop(columns="contract_value")
    # Far more convert in the new world than the first model knows.
    later = np.arange(ROWS) >= FIRST
    won = frame["converted"] | (later & (frame["pages_viewed"].fillna(0) < 3))
    frame["converted"] = np.where(np.arange(ROWS) >= future, ~won, won)
    file = folder / f"{name}.csv"
    frame.to_csv(file, index=False)
    return build(source(file).model_copy(update={"leaks": ()}), folder / name, FIRST, SIZE)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> History:
    return turned(tmp_path_factory.mktemp("world"), "as-it-is")


def followed(world: History, keep: Keep, folder: Path, tracking: str = "") -> Kept:
    return follow(world, keep, folder, tracking, lambda _: None)


def until(kept: Kept, end: datetime) -> pd.DataFrame:
    table = kept.judged.scored.table
    return table.loc[table["time"] < end, ["lead_id", "time", "score", "decision", "band"]]


def decided(kept: Kept, end: int) -> list[tuple[int, str, str, int, str]]:
    return [(e.block, e.action, e.reason, e.fits, e.drift) for e in kept.events if e.block < end]


def test_never_serves_its_first_model_for_good(world: History, tmp_path: Path) -> None:
    kept = followed(world, never, tmp_path)
    assert kept.judged.scored.table["model_version"].nunique() == 1
    assert [(event.block, event.action) for event in kept.events] == [(0, "trained")]
    assert len(kept.judged.target) == ROWS - FIRST


def test_each_sitting_holds_the_best_that_fit_and_explores_by_the_rule_that_was_refreshed_last(
    world: History, tmp_path: Path
) -> None:
    refreshed = ContactRule(line=0.3, explore_probability=0.1, basis="recent")

    def refresh(at: Moment) -> None:
        pointed = bundle.read_pointer(at.loop.models)
        assert pointed is not None
        if at.block == 2:
            replace_rule(at.loop.models, pointed[0].version, refreshed, None)

    followed(world, refresh, tmp_path)
    predictions, economics = Folder(tmp_path / "predictions"), world.source.economics
    stored = [predictions.read(key) for key in sorted(predictions.keys(""))]
    for sitting in (read_object(each.data) for each in stored if each):
        later = sitting[0].time >= world.begins(2)
        drawn = np.array(refreshed.drawn(world.source.name, (r.lead_id for r in sitting))) & later
        contacts = contact_list(np.array([r.score for r in sitting]), drawn, economics.threshold, economics)
        assert [r.decision == "contact" for r in sitting] == (contacts.ranked | contacts.explored).tolist()
        assert 0 < contacts.ranked.sum() <= most_contacts(len(sitting), len(sitting), economics)
        of = {(r.policy, r.probability, r.decision) for r in sitting}
        if later:
            assert of <= {("line", 0.1, "skip"), ("explore", 0.1, "contact"), ("line", 1.0, "contact")}
            assert contacts.explored.any()
        else:
            assert {(policy, probability) for policy, probability, _ in of} == {(None, None)}


def test_what_comes_later_changes_nothing_before(world: History, tmp_path: Path) -> None:
    """From block 2 on all outcomes are turned; they are final when block 4 begins, so until then nothing may change."""
    other = turned(tmp_path, "other", FIRST + 2 * SIZE)
    for name, keep in {"trigger": on_trigger, "always": always}.items():
        was, now = (followed(w, keep, tmp_path / name / place) for w, place in ((world, "a"), (other, "b")))
        assert until(was, world.begins(4)).equals(until(now, world.begins(4)))
        assert decided(was, 4) == decided(now, 4)
        assert not until(was, world.begins(5)).equals(until(now, world.begins(5)))


@pytest.mark.slow
def test_the_closed_loop_promotes_what_repairs_the_scores_and_sees_nothing_of_what_comes_later(
    world: History, tmp_path: Path
) -> None:
    other, tracking = turned(tmp_path, "other", FIRST + 2 * SIZE), recorded(tmp_path / "mlflow", "sample")
    was, now = (followed(w, closed_loop, tmp_path / place, tracking) for w, place in ((world, "a"), (other, "b")))
    assert until(was, world.begins(4)).equals(until(now, world.begins(4)))
    assert decided(was, 4) == decided(now, 4)
    assert decided(was, 5) != decided(now, 5)
    measured = measure(world, was)
    fits = {"trained": 1, "promoted": 2, "refused": 1, "too few": 0, "kept": 0}
    kinds = ["too few" if "too few" in event.reason else event.action for event in was.events]
    assert [event.fits for event in was.events] == [fits[kind] for kind in kinds]
    assert measured.named["fits"] == sum(fits[kind] for kind in kinds)
    assert "promoted" in {event.action for event in was.events}
    assert [
        event.drift for event in was.events if event.drift
    ] == []  # the leads look as before; what they are worth has changed
    assert measured.gains[0].brier > 0.01


def test_profit_is_of_the_contacts_that_the_team_can_make() -> None:
    target, scores = np.array([1, 0, 0, 1, 0], dtype=np.int8), np.array([0.9, 0.2, 0.8, 0.7, 0.1])
    economics = Economics(conversion_value=100, contact_cost=10, contacts_per_1000_leads=400)
    found = figures(target, scores, contacts_made(scores, scores >= 0.5, economics), economics)
    assert (found.profit, found.contacts) == (1000 * (100 - 20) / 5, 400)
