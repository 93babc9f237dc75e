"""The pictures show the figures that they are named for."""

from io import BytesIO

import numpy as np
import pytest
from matplotlib.figure import Figure

from service.lifecycle.evaluation.cells import ScoreCells
from service.lifecycle.evaluation.plots import plots
from service.model.bundle import Economics

SCORES = np.linspace(0.01, 0.9, 200)
TARGET = (np.random.default_rng(0).random(200) < SCORES).astype(np.int8)
MONEY = Economics(conversion_value=100, contact_cost=30, contacts_per_1000_leads=500)
DRAWN = plots(ScoreCells.of(TARGET, SCORES, SCORES >= 0.5, 0.5), 0.5, MONEY)


def line(figure: Figure, label: str) -> np.ndarray:
    (axes,) = figure.axes
    (found,) = [line for line in axes.lines if str(line.get_label()).startswith(label)]
    return np.asarray(found.get_xydata(), dtype=float)


@pytest.mark.parametrize("name", DRAWN)
def test_each_picture_is_labelled_and_can_be_saved(name: str) -> None:
    (axes,) = DRAWN[name].axes
    assert axes.get_xlabel()
    assert axes.get_ylabel()
    assert axes.get_title()
    png = BytesIO()
    DRAWN[name].savefig(png)
    assert png.getvalue().startswith(b"\x89PNG")


def test_the_threshold_is_marked_where_it_is_on_the_roc_curve() -> None:
    ((others, conversions),) = line(DRAWN["roc.png"], "threshold 0.500")
    assert others == (SCORES >= 0.5)[TARGET == 0].mean()
    assert conversions == (SCORES >= 0.5)[TARGET == 1].mean()


def test_profit_is_split_into_what_the_team_can_make_and_more() -> None:
    within = line(DRAWN["profit.png"], "within")
    beyond = line(DRAWN["profit.png"], "more contacts")
    assert (len(within), len(beyond)) == (100, 100)
    assert within[-1][1] == pytest.approx(5 * (100 * TARGET[100:].sum() - 30 * 100))
    assert line(DRAWN["profit.png"], "from 0.500")[0][0] == 0.5


def test_lift_ends_at_one_when_everyone_is_contacted() -> None:
    assert line(DRAWN["lift.png"], "model")[-1] == pytest.approx([1, 1])
