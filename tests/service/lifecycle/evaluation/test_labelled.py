"""Matured leads are the source's own and the scored ones, each once, oldest first; what a model has seen is known."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from service.lifecycle.data.leads import Leads
from service.lifecycle.data.outcome import OutcomeValues
from service.lifecycle.data.source import load_source
from service.lifecycle.evaluation.labelled import LabelledLeads, matured, sample, select
from service.lifecycle.evaluation.strata import Strata
from service.lifecycle.promotion.challenger import ENOUGH, MOST, window
from service.lifecycle.promotion.gate import Rules
from service.lifecycle.relations.sampling import LabelledRelation, counted
from service.model.bundle import Provenance
from service.model.schema import Feature, LeadSchema
from tests.facts import states
from tests.service import forge
from tests.service.lifecycle.relations.labelled_leads import Tables, labelled_table, own_leads
from tests.service.lifecycle.world import World

START = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA = LeadSchema(features=(Feature(name="pages", kind="number"), Feature(name="region", kind="category")))


def day(count: float) -> datetime:
    return START + timedelta(days=count)


def own(ids: list[str] | None, days: list[float] | None, in_order: bool = True) -> Leads:
    """The source's own leads; `pages` is their place."""
    count = len(ids or days or range(4))
    return Leads(
        SCHEMA,
        pd.DataFrame({"pages": np.arange(count, dtype=float), "region": np.full(count, "own", dtype=object)}),
        np.ones(count, dtype=np.int8),
        None if ids is None else np.array(ids, dtype=object),
        None if days is None else pd.DatetimeIndex([day(d) for d in days]),
        in_order,
        "0" * 64,
        (),
        OutcomeValues(("yes",), ("no",)),
    )


def scored(own: Leads, rows: int, **days: float) -> LabelledRelation:
    """Scored leads that did not convert, by id, beside these of the source's own."""
    times = [int(day(at).timestamp() * 1e6) for at in days.values()]
    pages = [100 + at for at in days.values()]
    table = labelled_table([*days], times, [0] * len(days), pages=pages, region=pa.nulls(len(days), pa.string()))
    tables = Tables(labelled=table, own_leads=own_leads(*([] if own.ids is None else own.ids)))
    return counted(tables, rows)[0]


def join(own: Leads, days: Mapping[str, float], rows: int = 20_000) -> LabelledLeads:
    return sample(own, rows, scored(own, rows, **days))


def provenance(rows: int | None, until: datetime | None, trained: datetime = START) -> Provenance:
    return Provenance(
        source="s",
        data_sha256="0" * 64,
        rows=2,
        trained_at=trained,
        candidate="c",
        git_commit=None,
        mlflow_run_id="r",
        seen_rows=rows,
        seen_until=until,
    )


def test_scored_leads_stand_among_the_own_by_time_and_one_that_is_there_already_is_not_doubled() -> None:
    every = join(own(["a", "b", "c"], [1, 3, 5]), {"x": 2, "b": 2.5, "y": 9})
    assert every.leads.ids is not None
    assert every.leads.ids.tolist() == ["a", "x", "b", "c", "y"]
    assert every.leads.frame["pages"].tolist() == [0, 102, 1, 2, 109]
    assert every.leads.frame["region"].tolist() == ["own", "", "own", "own", ""]
    assert every.leads.target.tolist() == [1, 0, 1, 1, 0]
    assert every.place.tolist() == [1, 0, 2, 3, 0]
    assert every.seen() == (3, day(9))


def test_contacted_leads_keep_the_weights_of_their_labels_and_the_source_s_own_weigh_one() -> None:
    mine = own(["a", "b"], [1, 3])
    times = [int(day(at).timestamp() * 1e6) for at in (2.0, 4.0)]
    blank = pa.nulls(2, pa.string())
    table = labelled_table(["x", "y"], times, [0, 0], weights=[20.0, 1.0], pages=[102.0, 104.0], region=blank)
    every = sample(mine, 100, counted(Tables(labelled=table, own_leads=own_leads("a", "b")), 100)[0])
    assert every.leads.weights is not None
    assert every.leads.weights.tolist() == [1, 20, 1, 1]
    part = select(every.leads, np.array([1, 2]))
    assert part.weights is not None
    assert part.explored is not None
    assert (part.weights.tolist(), part.explored.tolist()) == ([20, 1], [True, False])
    again = counted(Tables(labelled=table, own_leads=own_leads("a", "b")), 100)[0]
    normalised = sample(mine, 100, again, strata=Strata(day(2), 0.5, 1.5, 3.0)).leads.weights
    assert normalised is not None
    assert normalised.tolist() == [1, 30, 1, 3]
    assert join(mine, {"x": 2}).leads.weights is None


def test_of_contacted_leads_strata_and_all_recent_ones_are_read_too(tmp_path: Path) -> None:
    world = World(tmp_path, "contacted")
    world.contacted_only()
    frame, won = forge.rows(400, seed=3)
    own_rows = frame.assign(opted_in=frame["opted_in"].astype("boolean"), won=np.where(won, "yes", "no"))
    own_rows.to_csv(world.root / "own.csv", index=False)
    outcomes = world.score(forge.release(world.models), day(0), day(10), 600, explore=0.2)
    world.tell(outcomes)
    world.leads.create("contacts/unreadable.csv", b"nobody\n1\n")
    found = matured(load_source(world.source), forge.SCHEMA, world.predictions, world.leads, day(60))
    states(found.doubt, "contacts", "1")
    weights, explored = found.leads.contact_weights, found.leads.explored
    assert found.strata is not None
    assert found.recent is not None
    assert weights is not None
    assert explored is not None
    scored_since = int((found.recent.times >= pd.Timestamp(found.strata.since)).sum())
    assert (len(found.recent.frame), found.recent.times.is_monotonic_increasing) == (600, True)
    assert weights[explored].sum() == pytest.approx(found.strata.below * scored_since)
    assert 20 < explored.sum() < (found.place == 0).sum() < 600


def test_own_leads_without_a_time_come_first() -> None:
    every = join(own(None, None), {"x": 2, "y": 1})
    assert every.leads.frame["pages"].tolist() == [0, 1, 2, 3, 101, 102]
    assert every.seen() == (4, day(2))
    assert LabelledLeads.whole(own(None, None)).seen() == (4, None)


def test_the_same_leads_have_the_same_digest_and_others_another() -> None:
    digests = {join(own(None, None), made).leads.sha256 for made in ({"x": 2}, {"x": 2}, {"x": 3}, {})}
    assert len(digests) == 3


def test_what_a_model_has_not_seen_is_later_or_further_down_the_file() -> None:
    timed = join(own(["a", "b", "c"], [1, 3, 5]), {"x": 2, "y": 9})
    assert timed.unseen(provenance(1, day(3))).tolist() == [False, False, False, True, True]
    untimed = join(own(None, None), {"x": 2, "y": 9})
    assert untimed.unseen(provenance(3, None)).tolist() == [False, False, False, True, True, True]
    assert untimed.unseen(provenance(4, day(2))).tolist() == [False] * 5 + [True]
    assert LabelledLeads.whole(own(None, None)).unseen(provenance(3, None)).tolist() == [False, False, False, True]


def test_where_no_order_is_known_only_scored_leads_count_as_unseen() -> None:
    every = join(own(None, None, in_order=False), {"x": 2})
    assert every.unseen(provenance(2, None)).tolist() == [False] * 4 + [True]


def test_of_a_model_that_does_not_say_what_it_saw_all_before_its_training_counts_as_seen() -> None:
    every = join(own(None, None), {"x": 2, "y": 9})
    assert every.unseen(provenance(None, None, day(5))).tolist() == [False, False, True, True, False, True]


@pytest.mark.parametrize(
    ("unseen", "rate", "size"),
    [
        (999, 0.5, None),
        (1_000, 0.5, 1_000),
        (50_000, 0.1, 10 * ENOUGH),
        (3_000, 0.1, 1_500),
        (50_000, 0.02, MOST),
        (4_000, 0.02, 2_500),
    ],
)
def test_the_window_is_the_most_recent_that_holds_enough_of_each_outcome_at_most_half(
    unseen: int, rate: float, size: int | None
) -> None:
    target = (np.arange(100 + unseen)[::-1] % round(1 / rate) == round(1 / rate) - 1).astype(np.int8)
    rows = window(target, np.arange(100, 100 + unseen), Rules())
    assert (None if rows is None else len(rows)) == size
    if rows is not None:
        assert rows[-1] == 100 + unseen - 1


def test_without_enough_conversions_there_is_no_window() -> None:
    assert window(np.zeros(5_000, dtype=np.int8), np.arange(5_000), Rules()) is None


def test_selected_leads_keep_their_order_ids_and_times() -> None:
    part = select(own(["a", "b", "c"], [1, 3, 5]), np.array([0, 2]))
    assert part.ids is not None
    assert part.times is not None
    assert (part.ids.tolist(), part.frame["pages"].tolist(), part.frame.index.tolist()) == (["a", "c"], [0, 2], [0, 1])
    assert part.times[1] == day(5)


def many(count: int, in_order: bool = True, timed: bool = True, converting: float = 0.1) -> Leads:
    """Leads of the source's own, of which these convert."""
    found = own([f"L-{i}" for i in range(count)], [i / 24 for i in range(count)] if timed else None, in_order)
    return replace(found, target=(np.random.default_rng(0).random(count) < converting).astype(np.int8))


@pytest.mark.parametrize(("in_order", "timed"), [(True, True), (True, False), (False, False)])
def test_of_many_leads_a_sample_is_taken_whose_last_ones_are_the_newest(in_order: bool, timed: bool) -> None:
    leads = many(20_000, in_order, timed)
    found = sample(leads, 2_000)
    whole = found.leads.whole
    assert whole[-500:].all()
    assert whole.sum() == 500
    assert len(found.leads.target) == pytest.approx(2_000, abs=200)
    places = found.place[whole]
    assert (places > 19_500).all() if in_order else np.median(places) == pytest.approx(10_000, abs=2_000)
    assert found.leads.frame["pages"].tolist() == (found.place - 1).tolist()
    assert found.leads.weights is not None
    assert found.leads.weights.sum() == pytest.approx(20_000)
    assert np.average(found.leads.target, weights=found.leads.weights) == pytest.approx(leads.target.mean())


def test_a_model_that_is_trained_on_a_sample_has_seen_all_leads_and_of_later_ones_none() -> None:
    leads = many(20_000, timed=False)
    assert sample(leads, 2_000).seen() == (20_000, None)
    later = sample(many(20_100, timed=False), 2_000)
    assert later.place[later.unseen(provenance(20_000, None))].tolist() == list(range(20_001, 20_101))


def test_own_and_scored_leads_are_sampled_together() -> None:
    leads = many(3_000)
    days = {f"S-{i}": i / 24 + 0.01 for i in range(3_000)} | {"L-5": 2.0}
    found = sample(leads, 1_000, scored(leads, 1_000, **days))
    assert found.leads.drawn is not None
    assert found.leads.drawn.stated.leads == 6_000
    assert found.leads.times is not None
    assert found.leads.times.is_monotonic_increasing
    lost = found.place[found.leads.target == 0]  # of the scored ones all are
    assert (lost > 0).sum() == pytest.approx((lost == 0).sum(), rel=0.2)


def test_selected_leads_of_a_sample_keep_their_weights() -> None:
    found = sample(many(20_000), 2_000).leads
    part = select(found, np.array([0, len(found.target) - 1]))
    assert part.weights is not None
    assert part.weights[0] > 1
    assert (part.whole.tolist(), part.weights[1]) == ([False, True], 1)
