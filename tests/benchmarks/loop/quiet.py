"""a. A quiet world whose outcomes are those of contacted leads: are the figures those of all leads?

A model's log-odds are normal (mean MEAN, deviation DEVIATION); the true ones are TRUST times as far from the mean, so
that the model is a little too sure. For 28 days 3,000 leads a day come, and the contact rule of the whole distribution
holds. A histogram of the scores, with what was contacted and converted of each bin, says all that leads would. The
same without exploration, with a lead source that states whose outcomes there are and with one that does not: is that
said, and does no figure pretend?
"""

from collections.abc import Mapping
from functools import partial

import numpy as np
from scipy.special import expit
from scipy.stats import norm

from service.lifecycle.evaluation.quality import Scores
from service.model.bundle import Economics
from tests.benchmarks.loop.estimators import FIGURES, PRODUCT, Estimators, Evaluated, ScoredLeads
from tests.benchmarks.loop.limits import Progress
from tests.benchmarks.loop.policy import Rule, rule_of
from tests.benchmarks.loop.trials import run_trials

SEEDS, QUICK = 400, 40
DAYS, LEADS = 28, 3_000
MEAN, DEVIATION, TRUST, BINS = -2.75, 1.35, 0.9, 240
SHARE = 0.05
"""Of the capacity, for exploring."""
MONEY = Economics(conversion_value=600, contact_cost=60, contacts_per_1000_leads=400)

BIAS = {FIGURES[0]: 0.005, FIGURES[1]: 0.001, FIGURES[2]: 0.005, FIGURES[3]: 0.02, FIGURES[4]: 0.02}
"""The largest absolute bias; of profit as a share of it."""
COVERED = (0.92, 0.98)
WARNED = (
    "without exploration: warned",
    "without exploration, in a source that does not state it: warned",
    "with exploration: warned",
)
LIMITS: dict[str, tuple[float, float]] = {
    **{f"bias of {name}": (-most, most) for name, most in BIAS.items()},
    **{f"coverage of {name}": COVERED for name in FIGURES},
    **dict(zip(WARNED, ((1.0, 1.0), (1.0, 1.0), (0.0, 0.0)), strict=True)),
    "without exploration: figures given": (0.0, 0.0),
}

LOG_ODDS = np.linspace(MEAN - 4 * DEVIATION, MEAN + 4 * DEVIATION, BINS)
DENSITY = norm.pdf(LOG_ODDS, MEAN, DEVIATION) / norm.pdf(LOG_ODDS, MEAN, DEVIATION).sum()
SCORES, CHANCES = expit(LOG_ODDS), expit(MEAN + TRUST * (LOG_ODDS - MEAN))


def truth(line: float) -> dict[str, float]:
    """The figures over all leads that could come."""
    won, lost = DENSITY * CHANCES, DENSITY * (1 - CHANCES)
    below = np.cumsum(lost) - lost / 2
    worth = DENSITY * (MONEY.conversion_value * CHANCES - MONEY.contact_cost)
    return {
        "roc_auc": float(won @ below / won.sum() / lost.sum()),
        "brier": float(won @ (1 - SCORES) ** 2 + lost @ SCORES**2),
        "calibration_error": float(DENSITY @ np.abs(SCORES - CHANCES)),
        "profit": 1000 * float(worth[line <= SCORES].sum()),
        "profit at half the line": 1000 * float(worth[line / 2 <= SCORES].sum()),
    }


def window(seed: int, rule: Rule, days: int, stated: bool) -> ScoredLeads:
    """What is known after so many days: a cell for each bin, contacted or not, and outcome."""
    draw = np.random.default_rng(seed)
    leads = draw.multinomial(days * LEADS, DENSITY)
    contacted = draw.binomial(leads, rule.probability(SCORES))
    won = draw.binomial(contacted, CHANCES)
    cells: Scores = np.concatenate([won, contacted - won, leads - contacted]).astype(np.float64)
    held = cells > 0
    kinds = np.repeat([0, 1, 2], BINS)[held]
    scores = np.tile(SCORES, 3)[held]
    return ScoredLeads(
        (kinds == 0).astype(np.int8), scores, kinds < 2, rule.probability(scores), cells[held], days, stated
    )


def evaluated(seed: int, share: float, days: int, by: Estimators, stated: bool = True) -> Evaluated:
    """The figures of one window, and what is said of them."""
    rule = rule_of(SCORES, MONEY, share, DENSITY)
    return by.evaluate(window(seed, rule, days, stated), rule.line, MONEY)


def measure(seeds: int, by: Estimators = PRODUCT, tell: Progress = print, days: int = DAYS) -> dict[str, float]:
    """Bias and coverage over so many windows, and what is said of as many that nobody explored."""
    true = truth(rule_of(SCORES, MONEY, SHARE, DENSITY).line)
    explored, unexplored, unknown = (
        run_trials(
            partial(evaluated, share=share, days=days, by=by, stated=stated), range(seeds), f"quiet world, {how}", tell
        )
        for share, stated, how in ((SHARE, True, "explored"), (0.0, True, "not explored"), (0.0, False, "unknown"))
    )
    found: dict[str, float] = {}
    for name in FIGURES:
        shown = [each.figures[name] for each in explored if name in each.figures]
        scale = true[name] if name.startswith("profit") else 1.0
        found[f"bias of {name}"] = (float(np.mean([e.value for e in shown])) - true[name]) / scale if shown else np.nan
        hits = sum(e.low <= true[name] <= e.high for e in shown)
        found[f"coverage of {name}"] = hits / seeds
    found["without exploration: figures given"] = float(np.mean([bool(each.figures) for each in unexplored]))
    for name, windows in zip(WARNED, (unexplored, unknown, explored), strict=True):
        found[name] = float(np.mean([each.warned for each in windows]))
    return found


def limits(quick: bool) -> Mapping[str, tuple[float, float]]:
    """A quick look has few windows: its coverage may be off by what chance explains."""
    if not quick:
        return LIMITS
    wider = 3 * (0.05 * 0.95 / QUICK) ** 0.5
    covered = {name: (COVERED[0] - wider, 1.0) for name in LIMITS if name.startswith("coverage")}
    return {**LIMITS, **covered}
