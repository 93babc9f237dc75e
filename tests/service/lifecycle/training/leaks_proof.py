"""Plants leaks of five kinds in invented lead sources, and counts those found and the honest columns accused.

    python -m tests.service.lifecycle.training.leaks_proof

Each source is written as CSV and read as a user's is. Sources differ in size (800 to 4,000 leads), base rate, time
order, how much is missing, and in how well honest columns rank the outcomes (ROC-AUC .60 to .88).
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import norm

from service.lifecycle.data.leads import Leads, load
from service.lifecycle.data.source import Source
from service.lifecycle.training.leaks import find_leaks
from service.model.bundle import Economics, LeakReport

STRENGTHS = (0.6, 0.7, 0.8, 0.85, 0.88)
EACH, HONEST = 10, 50
MOST_FALSE, LEAST_FOUND = 5, 45

Draw = np.random.Generator
Columns = dict[str, Any]


class Planted(NamedTuple):
    """A lead source, the columns that leak in it, and how well its honest ones can rank at best."""

    frame: pd.DataFrame
    leaks: frozenset[str]
    strength: float


def honest(seed: int) -> Planted:
    """A source without leaks. One of its columns may carry twice as much as the others."""
    draw = np.random.default_rng(seed)
    rows, rate, strength = int(draw.integers(800, 4001)), draw.uniform(0.06, 0.35), STRENGTHS[seed % len(STRENGTHS)]
    numbers = draw.normal(size=(rows, 4))
    places = {name: draw.integers(0, size, rows) for name, size in (("source", 6), ("industry", 9), ("level", 4))}
    trial = draw.random(rows) < 0.3
    parts = [*numbers.T, *(draw.normal(size=9)[codes] for codes in places.values()), trial - 0.3]
    weights = draw.uniform(0.5, 1.2, len(parts)) * draw.choice([-1, 1], len(parts))
    worth = sum(weight * part / part.std() for weight, part in zip(weights, parts, strict=True))
    logit = _scaled(worth / worth.std(), rate, strength)
    won = draw.random(rows) < expit(logit)
    frame = pd.DataFrame(
        {
            "lead": [f"L-{place}" for place in range(rows)],
            "created": pd.date_range("2024-01-01", periods=rows, freq="3h").strftime("%Y-%m-%dT%H:%M:%S"),
            "employees": np.round(np.exp(4 + 1.3 * numbers[:, 0])),
            "budget": np.round(np.exp(8 + numbers[:, 1]), 2),
            "visits": np.floor(np.exp(1 + 0.8 * numbers[:, 2])),
            "age_days": np.round(30 + 8 * numbers[:, 3], 1),
            **{name: [f"{name} {code}" for code in codes] for name, codes in places.items()},
            "trial": np.where(trial, "yes", "no"),
            "phone": [f"+49 30 {number}" for number in draw.integers(10**6, 10**7, rows)],
            "won": np.where(won, "yes", "no"),
        }
    )
    # Serious leads are likelier to leave a number, and some cells are missing by chance.
    frame.loc[draw.random(rows) > expit(0.6 * worth / worth.std() + 0.5), "phone"] = ""
    for name in ("employees", "industry"):
        frame.loc[draw.random(rows) < draw.uniform(0, 0.2), name] = np.nan
    return Planted(frame, frozenset(), strength)


def _scaled(worth: Any, rate: float, strength: float) -> Any:
    """Logits with this base rate whose probabilities rank the outcomes drawn by them with this ROC-AUC."""

    def logits(scale: float) -> Any:
        shift = brentq(lambda shift: expit(scale * worth + shift).mean() - rate, -60, 60)
        return scale * worth + shift

    def auc(scale: float) -> float:
        chance = np.sort(expit(logits(scale)))
        below = np.cumsum(1 - chance) - (1 - chance) / 2
        return float((chance * below).sum() / (chance.sum() * (1 - chance).sum()))

    return logits(brentq(lambda scale: auc(scale) - strength, 0.01, 8))


def copy(draw: Draw, won: Any) -> Columns:
    """The outcome itself under another name, with errors."""
    if draw.random() < 0.5:
        wrong = draw.random(len(won)) < draw.uniform(0.01, 0.12)
        return {"stage": np.where(won ^ wrong, "signed", "in talks")}
    return {
        "score": np.round(10 * (won * np.sqrt(2) * norm.ppf(draw.uniform(0.88, 0.99)) + draw.normal(size=len(won))))
    }


def afterwards(draw: Draw, won: Any) -> Columns:
    """A quantity that is known only after the call: zero or blank for those who did not convert, with exceptions."""
    if draw.random() < 0.3:  # long calls end in contracts
        return {"call_seconds": np.round(np.exp(4.5 + won * draw.uniform(1.5, 2.2) + draw.normal(size=len(won)) * 0.9))}
    known = np.where(won, draw.random(len(won)) < draw.uniform(0.6, 1), draw.random(len(won)) < draw.uniform(0, 0.02))
    return {"contract": np.where(known, np.round(np.exp(draw.normal(8, 1, len(won))), 2), draw.choice([0.0, np.nan]))}


def filled(draw: Draw, won: Any) -> Columns:
    """A column of which only the presence tells: its values are the same for all."""
    after = won if draw.random() < 0.7 else ~won  # or why the deal was lost
    known = np.where(after, draw.random(len(won)) < draw.uniform(0.5, 1), draw.random(len(won)) < draw.uniform(0, 0.03))
    values = draw.choice(["Ann", "Ben", "Cem", "Dee"], len(won))
    return {"closed_by": np.where(known, values, draw.choice(["", "n/a", "-"]))}


def no_input(draw: Draw, won: Any) -> Columns:
    """A date or a text that is filled at the end. Neither is an input, but others may be filled with it."""
    known = np.where(won, draw.random(len(won)) < draw.uniform(0.6, 1), draw.random(len(won)) < draw.uniform(0, 0.03))
    days = pd.Timestamp("2025-01-01") + pd.to_timedelta(draw.integers(0, 400, len(won)), unit="D")
    texts = list(days.strftime(str(draw.choice(["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y"]))))
    if draw.random() < 0.4:
        texts = [f"contract {number:08x} was signed by both" for number in draw.integers(0, 2**31, len(won))]
    return {"closed": np.where(known, texts, "")}


def pair(draw: Draw, won: Any) -> Columns:
    """Two columns that tell the outcome together, and each hardly anything alone."""
    rows, noise = len(won), draw.random(len(won)) < draw.uniform(0, 0.04)
    match draw.integers(4):
        case 0:  # the difference of two running totals
            total = draw.normal(500, 120, rows)
            later = total + 60 * won + draw.normal(size=rows) * draw.uniform(8, 20)
            return {"total_then": np.round(total, 1), "total_now": np.round(later, 1)}
        case 1:
            sent = draw.random(rows) < 0.5
            return {"sent": np.where(sent, "yes", "no"), "back": np.where(sent ^ won ^ noise, "yes", "no")}
        case 2:  # the sign of a product
            first = draw.normal(size=rows)
            change = np.where(won ^ noise, 1.0, -1.0) * np.sign(first) * np.abs(draw.normal(size=rows))
            return {"balance": np.round(first, 3), "change": np.round(change, 3)}
        case _:  # the same person at the beginning and at the end
            names = np.array(["Ann", "Ben", "Cem", "Dee"])
            owner, other = draw.integers(0, 4, rows), draw.integers(1, 4, rows)
            return {"owner": names[owner], "editor": names[(owner + np.where(won ^ noise, 0, other)) % 4]}


KINDS: dict[str, Callable[[Draw, Any], Columns]] = {
    "a copy of the outcome, with noise": copy,
    "a quantity known only afterwards": afterwards,
    "filled or not": filled,
    "a date or text that is no input": no_input,
    "two columns, only together": pair,
}


def planted(kind: str, seed: int) -> Planted:
    """An honest source with a leak of this kind added, at a random place."""
    source = honest(seed)
    draw = np.random.default_rng([seed, 1])
    columns = KINDS[kind](draw, (source.frame["won"] == "yes").to_numpy())
    frame = source.frame.assign(**columns)
    return source._replace(frame=frame[draw.permutation(frame.columns)], leaks=frozenset(columns))


def read(frame: pd.DataFrame, ordered: bool, folder: Path) -> Leads:
    """The leads of this table, written and read as a file."""
    path = folder / "leads.csv"
    frame.to_csv(path, index=False)
    return load(
        Source(
            name="planted",
            path=str(path),
            target_column="won",
            positive="yes",
            id_column="lead",
            time_column="created" if ordered else None,
            metric="roc_auc",
            metric_reason="r",
            agreed_by="a",
            agreed_on="2025-01-01",
            economics=Economics(conversion_value=10, contact_cost=1),
        )
    )


def searched(source: Planted, ordered: bool) -> LeakReport:
    """What the search finds in this source."""
    with tempfile.TemporaryDirectory() as folder:
        return find_leaks(read(source.frame, ordered, Path(folder)))


def accused(report: LeakReport) -> set[str]:
    """The columns that are called likely leaks."""
    return {column for finding in report.findings if finding.likely for column in finding.columns}


def found(each: int = EACH) -> Iterator[tuple[str, int, Planted, LeakReport]]:
    """So many sources of each kind and what was found: kind, seed, source, report."""
    for number, kind in enumerate(KINDS):
        for place in range(each):
            seed = 100 * number + place
            source = planted(kind, seed)
            yield kind, seed, source, searched(source, ordered=seed % 2 == 0)


def alarms(sources: int = HONEST) -> Iterator[tuple[int, Planted, LeakReport]]:
    """So many honest sources and what was found: seed, source, report."""
    for seed in range(1000, 1000 + sources):
        source = honest(seed)
        yield seed, source, searched(source, ordered=seed % 2 == 0)


def main() -> int:
    """Print what was found and who was accused; return 1 where that is not good enough."""
    hits = others = 0
    for kind, seed, source, report in found():
        named = accused(report)
        hits += bool(named & source.leaks)
        others += bool(named - source.leaks)
        how = "found " if named & source.leaks else "MISSED"
        figures = (
            f"ROC-AUC {report.roc_auc:.3f}, without {report.honest:.3f}" if report.roc_auc and report.honest else ""
        )
        print(f"{how}  {kind:34} {seed:4}  {', '.join(sorted(source.leaks)):24} {figures} (at best {source.strength})")
        for column in sorted(named - source.leaks):
            print(f"        honest, but named: {column}")
    false = 0
    for seed, source, report in alarms():
        false += bool(accused(report))
        if report.findings:
            print(f"honest  {seed} (at best {source.strength}): {'; '.join(report.lines)}")
    print(f"found {hits}/{EACH * len(KINDS)}, beside an honest column in {others}; false alarms {false}/{HONEST}")
    return int(hits < LEAST_FOUND or false > MOST_FALSE)


if __name__ == "__main__":
    sys.exit(main())
