"""The worlds can be solved, and a benchmark's exit status is 1 where one of its inputs is lowered."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
import pyarrow as pa
import pytest
from msgspec import structs

from service.history import OutcomeSelection
from service.lifecycle.evaluation.quality import Scores, Target
from service.lifecycle.evaluation.selection import selection
from service.lifecycle.promotion.gate import Verdict
from service.lifecycle.relations.outcomes import LabelRules
from service.lifecycle.relations.relation import Relation
from tests.benchmarks.loop import __main__ as loop
from tests.benchmarks.loop import gate_years, late, quiet, replays, rescoring, segment
from tests.benchmarks.loop.estimators import PRODUCT, REFERENCE, plain_figures, plain_rule, weighted_figures
from tests.benchmarks.loop.policy import Rule, rule_of
from tests.benchmarks.loop.replays import LOOP, OTHERS, Result


def silent(_: str) -> None:
    """No progress is shown."""


def missed(found: Mapping[str, float], limits: Mapping[str, tuple[float, float]]) -> set[str]:
    """The names of the limits that the figures miss."""
    return {name for name, (least, most) in limits.items() if not least <= found[name] <= most}


def test_the_same_lead_is_drawn_again_whatever_it_scores() -> None:
    keys = [f"lead-{row}" for row in range(20_000)]
    rule = Rule(line=0.5, explore=0.1)
    low, lower = (rule.contacts(keys, np.full(len(keys), score)) for score in (0.2, 0.1))
    assert (low == lower).all()
    assert low.mean() == pytest.approx(0.1, abs=0.01)
    assert rule.contacts(keys, np.full(len(keys), 0.5)).all()


def test_the_line_leaves_exploring_its_share_of_the_capacity() -> None:
    scores = np.linspace(0.001, 1, 1_000)
    rule = rule_of(scores, quiet.MONEY, 0.1)
    assert (scores >= rule.line).sum() == pytest.approx(360, abs=1)
    assert rule.explore * (scores < rule.line).sum() == pytest.approx(40)


def test_a_weighted_profit_is_right_in_the_quiet_world_and_a_plain_one_is_not() -> None:
    limits = {f"bias of {name}": (-0.05, 0.05) for name in ("roc_auc", "profit", "profit at half the line")}
    assert not missed(quiet.measure(12, REFERENCE, silent), limits)
    plain = quiet.measure(2, PRODUCT._replace(evaluate=plain_figures), silent)
    assert missed(plain, limits) == set(limits)
    assert plain["bias of profit"] > 1
    assert plain["without exploration: warned"] == 0
    assert plain["without exploration: figures given"] == 1


def test_the_product_warns_of_contacted_leads_and_of_no_others() -> None:
    assert not missed(quiet.measure(2, PRODUCT, silent), {name: quiet.LIMITS[name] for name in quiet.WARNED})


def silenced(found: OutcomeSelection, *_: object) -> OutcomeSelection:
    """The same without the sentence."""
    return structs.replace(found, about="")


def untested(counts: pa.Table, rules: LabelRules) -> OutcomeSelection:
    """The sentence, of a test that finds nothing."""
    return structs.replace(selection(counts, rules), depends_on_decision=False)


@pytest.mark.parametrize(
    ("what", "instead"),
    [("weighting.about", silenced), ("selection", untested), ("weighting.weighting", lambda _: None)],
)
def test_a_product_that_does_not_warn_is_the_exit_status(
    what: str, instead: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiet, "QUICK", 2)
    monkeypatch.setattr(f"tests.benchmarks.loop.estimators.{what}", instead)
    assert loop.main(["--quick", "--only", "a"]) == 1


@pytest.mark.parametrize("share", [0.0, 0.0005])
def test_too_little_exploration_misses_the_quiet_worlds_limits(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet, "SHARE", share)
    assert "coverage of roc_auc" in missed(quiet.measure(4, REFERENCE, silent), quiet.LIMITS)


def test_wrong_probabilities_miss_the_quiet_worlds_limits() -> None:
    wrong = REFERENCE._replace(
        evaluate=lambda seen, line, money: weighted_figures(
            replace(seen, probability=np.minimum(1, 2 * seen.probability)), line, money
        )
    )
    assert "bias of brier" in missed(quiet.measure(8, wrong, silent), quiet.LIMITS)


def test_exploring_costs_what_is_allowed_and_twice_the_share_costs_more() -> None:
    found = segment.costs(REFERENCE)
    limits = {name: limit for name, limit in segment.LIMITS.items() if name in found}
    assert not missed(found, limits)
    twice = REFERENCE._replace(rule=lambda scores, money, share: rule_of(scores, money, 2 * share))
    assert len(missed(segment.costs(twice), limits)) == 2
    assert "leads explored at 10 %, per 1,000" in missed(segment.costs(PRODUCT._replace(rule=plain_rule)), limits)


def test_a_lead_s_last_score_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    last = "select * from records qualify row_number() over (partition by lead_key order by time desc) = 1"
    monkeypatch.setattr(rescoring, "LEADS", 40)
    with monkeypatch.context() as context:
        context.setattr(rescoring, "first_scores", lambda since: [Relation("first_scores", last)])
        assert rescoring.error(1, compacted=False, dated=False) > 0.05
    monkeypatch.setattr(rescoring, "RESCORED", 0)
    assert abs(rescoring.error(1, compacted=False, dated=False)) < 0.05


def test_a_score_that_knows_the_outcome_is_the_exit_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rescoring, "error", lambda seed, compacted, dated=True: 0.0 if dated else 0.06)
    monkeypatch.setattr(late, "measure", lambda *_: {late.FALSE: 0.0})
    assert loop.main(["--quick", "--only", "c"]) == 1


def test_a_rule_that_explores_nobody_is_the_exit_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment, "share_of_profit", lambda seed, by: 1.0)
    monkeypatch.setattr(segment, "COST_LEADS", 5_000)
    monkeypatch.setattr(loop, "PRODUCT", PRODUCT._replace(rule=plain_rule))
    assert loop.main(["--quick", "--only", "b"]) == 1


def test_labels_are_of_leads_whose_outcome_is_final() -> None:
    came, scores = np.array([0.0, 0.0, 20.0]), np.full(3, 0.1)
    target, _ = late.labels(scores, came, np.array([late.MATURITY - 1.0, np.inf, 25.0]), late.MATURITY + 10.0)
    assert target.tolist() == [1, 0]


def test_labels_of_conversions_until_now_call_a_calibrated_champion_miscalibrated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def labelled_by(days: float) -> list[bool]:
        def labels(scores: Scores, came: Scores, converted: Scores, now: float) -> tuple[Target, Scores]:
            return (converted <= np.minimum(came + days, now)).astype(np.int8), scores

        monkeypatch.setattr(late, "labels", labels)
        return [late.year(seed, late.LATE) for seed in range(4)]

    assert sum(labelled_by(np.inf)) >= 3
    assert sum(labelled_by(late.MATURITY)) <= 1


@pytest.mark.slow
def test_a_loop_that_never_explores_does_not_find_the_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    found = segment.share_of_profit(1, REFERENCE)
    monkeypatch.setattr(segment, "SHARE", 0.0)
    assert segment.share_of_profit(1, REFERENCE) < 0.8 < found


@pytest.mark.parametrize(("by", "missing"), [("gain", ("equal",)), (None, ("better", "champion"))])
def test_a_gate_that_is_always_open_or_shut_is_the_exit_status(
    by: Literal["gain"] | None, missing: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = PRODUCT._replace(judge=lambda *_: Verdict(by, "", {}))
    found = gate_years.measure(2, judged, silent)
    assert missed(found, gate_years.LIMITS) == {each for each in gate_years.LIMITS if each.startswith(missing)}
    monkeypatch.setattr(loop, "PRODUCT", judged)
    monkeypatch.setattr(gate_years, "measure", lambda *_: found)
    assert loop.main(["--quick", "--only", "f"]) == 1


def test_the_loop_is_held_against_the_best_of_the_others() -> None:
    result = Result(
        "world",
        dict(zip((LOOP, *OTHERS), (97.0, 90.0, 80.0, 100.0), strict=True)),
        {LOOP: 0.1} | dict.fromkeys(OTHERS, 0.09),
    )
    assert result.of_best == pytest.approx(0.97)
    assert result.above == pytest.approx(0.01)


@pytest.mark.parametrize(("profit", "status"), [(1.0, 0), (0.9, 1)])
def test_a_replay_that_loses_is_the_exit_status(profit: float, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    others = dict.fromkeys(OTHERS, 1.0)
    monkeypatch.setattr(
        replays, "replayed", lambda number, histories: Result("", {LOOP: profit} | others, {LOOP: 1.0} | others)
    )
    assert loop.main(["--quick", "--only", "g"]) == status


def test_a_part_that_is_not_there_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(loop.PARTS, "d", loop._module("nothing"))
    assert loop.main(["--quick", "--only", "d"]) == 1
    with pytest.raises(SystemExit, match="2"):
        loop.main(["--only", "z"])


def test_a_window_that_nobody_explored_is_the_exit_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quiet, "QUICK", 2)
    monkeypatch.setattr(quiet, "SHARE", 0.0)
    assert loop.main(["--quick", "--only", "a", "--estimators", "reference"]) == 1


@pytest.mark.slow
def test_a_rough_look_finds_the_limits_kept() -> None:
    assert loop.main(["--quick", "--only", "a,c,d,e,f"]) == 0
