"""Writes one table of leads as programs and people in several countries write it: at random, but known."""

import csv
import io
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

NUMBERS: dict[str, tuple[str, str]] = {
    "plain": (".", ""),
    "English": (".", ","),
    "German": (",", "."),
    "Swiss": (".", "\u2019"),
    "French": (",", "\u202f"),
    "decimal comma": (",", ""),
}
UNITS: tuple[Callable[[str], str], ...] = (
    lambda text: text,
    lambda text: f"{text} €",
    lambda text: f"${text}",
    lambda text: f"CHF {text}",
    lambda text: f"{text}%",
)
DAYS = ("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y %H:%M", "%Y/%m/%d", "%d %b %Y", "%Y-%m-%dT%H:%M:%S+00:00")
ANSWERS = (("yes", "no"), ("Ja", "Nein"), ("TRUE", "FALSE"), ("Oui", "NON"), ("wahr", "falsch"))
OUTCOMES: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("won",), ("lost",)),
    (("Closed Won",), ("Closed Lost", "disqualified")),
    (("gewonnen", "Vertrag"), ("verloren",)),
    (("1", "1.0", "1.00"), ("0", "0.0")),
    (("TRUE",), ("FALSE",)),
)
"""Values that mean a conversion, and a loss."""
OPEN = ("", "In Progress", "n/a", "Verhandlung", "2")
MARKS = ("", "n/a", "NULL", "#N/A", "-", "k.A.")
FORMS = (("utf-8", ""), ("utf-8", "\ufeff"), ("utf-16-le", "\ufeff"), ("utf-16-be", "\ufeff"), ("cp1252", ""))


def frame(draw: np.random.Generator, rows: int) -> pd.DataFrame:
    """Leads with a number to cents, whole numbers, an answer, a city, a day and an outcome; some cells are missing.

    A third of the tables has open leads, whose outcome is neither won nor lost.
    """
    amount = np.round(draw.lognormal(7, 2, rows), 2)
    amount[draw.random(rows) < 0.1] *= -1
    answer = draw.choice(["yes", "no"], rows).astype(object)
    city = draw.choice(["Zürich", "Köln", "Paris", "St. Gallen"], rows).astype(object)
    answer[draw.random(rows) < 0.1] = None
    city[draw.random(rows) < 0.1] = None
    amount[draw.random(rows) < 0.1] = np.nan
    start = datetime(2024, 1, 1)
    shares = [0.4, 0.5, 0.1] if draw.random() < 0.35 else [0.5, 0.5, 0]
    return pd.DataFrame(
        {
            "id": [f"00Q{i:07d}" for i in range(rows)],
            "amount": amount,
            "visits": draw.integers(0, 5000, rows).astype(float),
            "answer": answer,
            "city": city,
            "created": [start + timedelta(days=int(day)) for day in np.sort(draw.integers(0, 700, rows))],
            "won": draw.choice(["won", "lost", "open"], rows, p=shares),
        }
    )


class Written(NamedTuple):
    """A file's bytes, and the keys that say what its outcomes mean. `told`: they say it, so that it can be read."""

    data: bytes
    keys: dict[str, Any]
    told: bool


def written(leads: pd.DataFrame, draw: np.random.Generator) -> Written:
    """The leads in a spelling drawn at random, as a CSV file."""
    outcomes = dict(zip(("won", "lost"), OUTCOMES[draw.integers(len(OUTCOMES))], strict=True))
    outcomes["open"] = tuple(draw.choice(OPEN, 2, replace=False))
    spelled = [str(draw.choice(outcomes[outcome])) for outcome in leads["won"]]
    keys = _keys(leads["won"].tolist(), spelled, draw)
    others = {_meaning(text) for text, outcome in zip(spelled, leads["won"], strict=True) if outcome != "won"}
    told = len(keys) > 1 or (len(others) == 1 and "" not in others)
    decimal, grouping = NUMBERS[draw.choice(list(NUMBERS))]
    unit = UNITS[draw.integers(len(UNITS))]
    yes, no = ANSWERS[draw.integers(len(ANSWERS))]
    mark, day = draw.choice(MARKS), draw.choice(DAYS)
    encoding, bom = FORMS[draw.integers(len(FORMS))]
    delimiter = draw.choice([",", ";", "\t", "|"])

    signs = ["-"] if encoding == "cp1252" else ["-", "\u2212"]

    def number(value: float, digits: int) -> str:
        text = f"{abs(value):,.{digits}f}".replace(",", "\0").replace(".", decimal).replace("\0", grouping)
        return text if value >= 0 else f"{draw.choice(signs)}{text}"

    def cell(name: str, value: Any) -> str:
        if value is None or value != value:
            return str(mark)
        if name == "amount":
            return unit(number(value, 2))
        if name == "visits":
            return number(value, 0)
        if name == "answer":
            return yes if value == "yes" else no
        if name == "city":
            return str(draw.choice([value, value, value, f" {value}", value.upper(), value.replace(" ", "\u00a0")]))
        if name == "won":
            return str(draw.choice([value, value.upper(), value.casefold(), f" {value} " if value else ""]))
        return value.strftime(day) if name == "created" else str(value)

    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=draw.choice(["\n", "\r\n"]))
    if draw.random() < 0.2:
        writer.writerows([["Report: leads"], []])
    names = [
        name.upper() if draw.random() < 0.1 else f" {name} " if draw.random() < 0.1 else name
        for name in map(str, leads)
    ]
    writer.writerow(names)
    for row in leads.assign(won=spelled).itertuples(index=False):
        writer.writerow([cell(name, value) for name, value in zip(map(str, leads), row, strict=True)])
        if draw.random() < 0.01:
            text.write("\n")
    if draw.random() < 0.2:
        writer.writerow(["Total", unit(number(float(leads["amount"].sum()), 2)), "", "", "", "", ""])
    if draw.random() < 0.2:
        text.write("\nConfidential\n")
    whole = bom + text.getvalue().replace("\u202f", "\u00a0" if encoding == "cp1252" else "\u202f")
    return Written(whole.encode(encoding), keys, told)


def _keys(outcomes: list[str], spelled: list[str], draw: np.random.Generator) -> dict[str, Any]:
    """What a lead source says of these outcomes: the positive values, and in three of four cases what decides."""

    def stated(outcome: str) -> list[str]:
        values = {text.casefold() for text, found in zip(spelled, outcomes, strict=True) if found == outcome}
        return sorted(draw.choice([value, value.upper(), value.title()]) for value in values)

    keys: dict[str, Any] = {"positive": stated("won")}
    kind = draw.random()
    if kind < 0.5:
        keys["negative"] = stated("lost")
    elif kind < 0.75:
        keys["absent_after_days"] = int(draw.integers(30, 400))
    return keys


def _meaning(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text.casefold()
