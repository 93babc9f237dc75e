from typing import Any

import numpy as np
import pyarrow as pa

from service.history import Weighting
from service.lifecycle.evaluation.confidence import share
from service.lifecycle.reporting.groups import MIN_LEADS, MOST, group_outcomes


def row(value: str, leads: int, labelled: int | None = None, weight: float = 1.0, **more: Any) -> dict[str, Any]:
    """Leads of which a half is contacted and a fifth converts; scores are a tenth too low."""
    known = leads if labelled is None else labelled
    return {
        "name": "country",
        "value": value,
        "leads": leads,
        "contacted": leads // 2,
        "labelled": known,
        "weight_sum": weight * known,
        "square_sum": weight**2 * known,
        "weighted_converted": weight * 0.2 * known,
        "weighted_score": weight * 0.1 * known,
    } | more


def test_each_large_value_has_contact_rate_conversion_and_mean_score() -> None:
    rows = [row("AT", 400), row("DE", 1_000), row("DE", 300, name="sector")]
    found = group_outcomes(["country", "sector"], pa.Table.from_pylist(rows))
    assert [(g.group, g.value, g.leads) for g in found] == [
        ("country", "DE", 1_000),
        ("country", "AT", 400),
        ("sector", "DE", 300),
    ]
    assert found[0].contact_rate == share(500, 1_000)
    assert found[0].conversion == share(200, 1_000)
    assert found[0].mean_score == 0.1


def test_small_values_are_pooled_and_named_by_none() -> None:
    rows = [row("DE", 1_000), *(row(f"tiny {number}", 30) for number in range(20))]
    _, pooled = group_outcomes(["country"], pa.Table.from_pylist(rows))
    assert (pooled.value, pooled.pooled, pooled.leads) == (None, 20, 600)
    assert pooled.conversion == share(120, 600)


def test_what_is_small_even_together_has_no_figures() -> None:
    rows = [row("DE", 1_000), row("Anna", 3), row("Berta", 4)]
    found = group_outcomes(["country"], pa.Table.from_pylist(rows))[1]
    assert (found.value, found.leads, found.contact_rate, found.conversion, found.mean_score) == (None, 7, *[None] * 3)


def test_a_single_small_value_is_pooled_with_the_smallest_large_one() -> None:
    rows = [row("DE", 1_000), row("AT", 400), row("Anna", 3)]
    found = group_outcomes(["country"], pa.Table.from_pylist(rows))
    assert [(g.value, g.pooled, g.leads) for g in found] == [("DE", 0, 1_000), (None, 2, 403)]
    unstated = group_outcomes(["country"], pa.Table.from_pylist([row("DE", 1_000), row("AT", 400), row("", 3)]))
    assert [(g.value, g.pooled, g.leads) for g in unstated] == [("DE", 0, 1_000), ("AT", 0, 400), ("", 0, 3)]


def explored(enough: bool) -> Weighting:
    return Weighting(below=0.8, explored=90, clip=0.002, clipped=0, effective=500.0, enough=enough)


def test_contacted_leads_alone_tell_no_conversion_of_a_group_unless_explored_ones_stand_for_the_others() -> None:
    rows = pa.Table.from_pylist([row("DE", 1_000, labelled=250, weight=4), row("AT", 1_000, labelled=250)])
    assert [bool(g.conversion) for g in group_outcomes(["country"], rows)] == [True, True]
    none, some = (group_outcomes(["country"], rows, explored(enough)) for enough in (False, True))
    assert [(g.conversion, g.mean_score) for g in none] == [(None, None)] * 2
    assert all(g.contact_rate for g in none)
    assert {g.value: bool(g.conversion) for g in some} == {"DE": True, "AT": False}


def test_few_outcomes_or_few_in_effect_give_no_conversion() -> None:
    unequal = row("AT", 900, labelled=100, square_sum=10_000.0 * 100**2 / 10_000 / 40)  # 40 in effect
    found = group_outcomes(["country"], pa.Table.from_pylist([row("DE", 1_000, labelled=49), unequal]))
    assert [(g.conversion, g.mean_score) for g in found] == [(None, None)] * 2
    assert all(g.contact_rate for g in found)


def test_weights_widen_the_interval_and_move_nothing_else() -> None:
    light, heavy = (
        group_outcomes(["country"], pa.Table.from_pylist([row("DE", 1_000, 500, weight)]))[0] for weight in (1.0, 4.0)
    )
    assert light.conversion
    assert heavy.conversion
    assert np.allclose([light.conversion.value, light.conversion.low], [heavy.conversion.value, heavy.conversion.low])
    uneven = group_outcomes(["country"], pa.Table.from_pylist([row("DE", 1_000, 500, square_sum=2_000.0)]))[0]
    assert uneven.conversion
    assert uneven.conversion.value == light.conversion.value
    assert uneven.conversion.low < light.conversion.low


def test_no_more_than_the_largest_values_are_shown() -> None:
    rows = [row(f"{number:02d}", MIN_LEADS + number) for number in range(MOST + 5)]
    found = group_outcomes(["country"], pa.Table.from_pylist(rows))
    assert len(found) == MOST + 1
    assert (found[0].value, found[-1].pooled) == ("24", 5)
