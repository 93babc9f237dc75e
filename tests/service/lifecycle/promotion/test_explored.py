"""Of contacted leads alone no challenger is judged unless enough of them were contacted at random."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from service.lifecycle.data.leads import load
from service.lifecycle.data.sample import Sample
from service.lifecycle.data.source import TrainingRecipe, load_source
from service.lifecycle.evaluation.labelled import FEWEST, LabelledLeads, RecentLeads
from service.lifecycle.evaluation.strata import Strata
from service.lifecycle.promotion import challenger
from service.lifecycle.promotion.challenger import challenge
from service.lifecycle.promotion.explored import holding_enough, recent_since, since_exploring, too_few_explored
from service.lifecycle.training import registration
from service.model import bundle
from service.model.bundle import Bundle
from service.storage import open_storage
from tests.facts import states
from tests.service import forge

SOURCE = Path(__file__).parents[4] / "service" / "examples" / "sample.toml"
COUNT = 2_000
TIMES = pd.date_range("2026-03-02", periods=COUNT, freq="h", tz="UTC")


def scored(every: int | None, weight: float = 10.0, below: float = 0.8) -> LabelledLeads:
    """Scored leads, an hour apart, of which every so many-th was explored; None: none."""
    source = load_source(SOURCE).model_copy(update={"sample": Sample(rows=COUNT)})
    explored = np.zeros(COUNT, dtype=bool) if every is None else np.arange(COUNT) % every == 0
    strata = None if every is None else Strata(TIMES[0].to_pydatetime(), below, 1.0, 1.0)
    weights = None if every is None else np.where(explored, weight, 1.0)
    leads = replace(load(source), times=TIMES, contact_weights=weights, explored=explored)
    return LabelledLeads(leads, np.zeros(COUNT, dtype=np.int64), 0, strata)


EVERY = np.arange(COUNT)


def champion(root: Path) -> Bundle:
    """A served model that has seen none of the leads."""
    models = open_storage(str(root))
    served = bundle.load(models, forge.release(models))
    of = served.manifest.provenance.model_copy(update={"seen_rows": 0, "seen_until": None})
    return replace(served, manifest=served.manifest.model_copy(update={"provenance": of}))


def test_leads_with_too_few_explored_ones_say_in_how_many_days_there_are_enough() -> None:
    few = too_few_explored(scored(100), EVERY)
    states(str(few), 20, 50, 125)  # 83 days brought 20: 50 take 1.5 times as long besides
    assert too_few_explored(scored(40), EVERY) is None
    assert too_few_explored(scored(100, below=0.005), EVERY) is None
    states(str(too_few_explored(scored(39, weight=500.0), EVERY)), "effective sample size", 100)
    states(str(too_few_explored(scored(None), EVERY)), "exploration.share")


def test_the_source_s_own_leads_need_none() -> None:
    own = replace(scored(None), place=EVERY + 1)
    assert too_few_explored(own, EVERY) is None


def test_a_window_holds_enough_explored_leads_where_all_do() -> None:
    size = holding_enough(scored(20).leads, EVERY)
    assert too_few_explored(scored(20), EVERY[-size:]) is None
    assert too_few_explored(scored(20), EVERY[-size + 1 :])
    assert holding_enough(scored(100).leads, EVERY) == holding_enough(scored(None).leads, EVERY) == 0


def test_leads_of_before_exploring_are_no_judges() -> None:
    begun = replace(scored(10), strata=Strata(TIMES[700].to_pydatetime(), 0.8, 1.0, 1.0))
    assert since_exploring(begun, EVERY).tolist() == EVERY[700:].tolist()
    assert since_exploring(replace(begun, place=EVERY + 1), EVERY).tolist() == EVERY.tolist()


def test_line_bands_and_reference_are_of_all_recent_leads_with_or_without_an_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, money = TrainingRecipe(candidate="logistic_regression"), {"contacts_per_1000_leads": 100.0}
    source = load_source(SOURCE).model_copy(update={"outcomes_of": "contacted", "recipe": recipe})
    source = source.model_copy(update={"economics": source.economics.model_copy(update=money)})
    monkeypatch.setattr(challenger, "score", lambda _, frame: np.linspace(0.1, 0.2, len(frame)))
    every = scored(10)
    worst = np.flatnonzero(every.leads.target == 0)[-800:]
    recent = RecentLeads(every.leads.frame.iloc[worst], TIMES[-len(worst) :])
    assert recent_since(replace(every, recent=recent), EVERY[-FEWEST + 1 :]) is None
    made = challenge(replace(every, recent=recent), champion(tmp_path), source)
    chosen = made.chosen
    assert chosen
    since = int((recent.times >= TIMES[chosen.split.held_out[0]]).sum())
    assert len(chosen.every_score) == since >= FEWEST
    ready = registration.prepare(source, every.leads, chosen, every.seen(), "none", TIMES[-1].to_pydatetime())
    rule, reference = ready.manifest.rule, ready.reference
    assert (rule.leads, reference.leads, sum(reference.scores.counts)) == (since, since, since)
    assert rule.share_above == pytest.approx(0.1, abs=0.01)
    judged = sum(each.leads for each in reference.calibration)
    assert judged == len(chosen.standing) < len(chosen.target)


@pytest.mark.parametrize("every", [None, 100])
def test_no_challenger_is_trained_where_too_few_leads_were_explored(tmp_path: Path, every: int | None) -> None:
    source = load_source(SOURCE).model_copy(update={"outcomes_of": "contacted"})

    def trains(_: object) -> None:
        raise AssertionError("trained")

    served = champion(tmp_path)
    made = challenge(scored(every), served, source, recipe=trains)  # type: ignore[arg-type]
    assert (made.verdict.by, made.chosen) == (None, None)
    states(made.verdict.reason, "contacted at random")
    with pytest.raises(AssertionError, match="trained"):
        challenge(scored(20), served, source, recipe=trains)  # type: ignore[arg-type]
