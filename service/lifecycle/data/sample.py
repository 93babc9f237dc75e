"""The built-in leads: a seeded generator whose true score is known.

A lead converts with probability sigmoid(z), where z is a sum of (values are logits):

- lead source: referral 1.5, partner .8, event .6, organic search .2, webinar .1, paid search -.3, outbound list
  -1.5, and the rare trade fair 1.2 (one lead in 500);
- industry: -.7 to .7; region: -.1 to .15; job level: 1.1 for executives down to -1.2 for interns;
- employees (log-normal, median 60): a bump, .75 at about 150, falling off on both sides, which no straight line sees;
- pages viewed and emails opened (negative binomial): .45 and .35 a unit of their logarithm, centred;
- days since first touch (exponential, mean 45): -.45 a unit of its logarithm, centred;
- trial started: 1.1, and another .6 for companies of fewer than 50;
- a constant that brings the base rate to about 11 %.

Values are missing at random and independently of everything else (employees 12 %, industry 6 %, job level 9 %,
emails 4 %, trial 3 %), so that what is left of a lead still predicts as before. Beside the inputs stand an id,
a time (leads arrive evenly over two years), a constant column, an identifier-like one, and `contract_value`, which is
known only for those who converted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Objects = npt.NDArray[np.object_]

DriftKind = Literal["source_mix", "narrow_market", "even_engagement", "lost_tracking", "new_values", "concept"]
"""The first five change which leads come (or what is seen of them), not what a lead with given inputs is worth:

- source_mix: all leads come from one paid campaign, have seen its two or three pages, and start no trial;
- narrow_market: all companies have nearly the same size, industry and job level, first touched in one week;
- even_engagement: everyone looks equally engaged (link scanners open every page and mail), and trials stop;
- lost_tracking: pages, emails, trial and job level are no longer recorded;
- new_values: sources, industries and job levels get values that were never seen, worth an average lead's.

`concept` changes the worth itself: engagement comes to mean little, and small companies no longer convert.
"""

EVERY = pd.Timedelta(minutes=52.56)  # 20,000 leads in two years


class Drift(BaseModel):
    """A change that sets in at once. `strength` is the share of leads it takes; `start` the share that come before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: DriftKind
    strength: Annotated[float, Field(gt=0, le=1)] = 1.0
    start: Annotated[float, Field(ge=0, lt=1)] = 0.0


class Sample(BaseModel):
    """What to generate. The same sample always gives the same leads."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: Annotated[int, Field(ge=1, le=5_000_000)] = 20_000
    seed: Annotated[int, Field(ge=0)] = 1
    drift: Drift | None = None


@dataclass(frozen=True)
class Generated:
    """Leads in time order, and each one's true probability to convert."""

    frame: pd.DataFrame
    score: Array


SOURCES = {
    "organic_search": (0.26, 0.2),
    "paid_search": (0.22, -0.3),
    "outbound_list": (0.18, -1.5),
    "webinar": (0.12, 0.1),
    "partner": (0.09, 0.8),
    "event": (0.07, 0.6),
    "referral": (0.058, 1.5),
    "trade_fair": (0.002, 1.2),
}
INDUSTRIES = {
    "software": (0.2, 0.6),
    "manufacturing": (0.18, 0.1),
    "retail": (0.16, -0.3),
    "health": (0.12, 0.3),
    "finance": (0.1, 0.7),
    "logistics": (0.09, 0.0),
    "education": (0.08, -0.5),
    "public_sector": (0.07, -0.7),
}
REGIONS = {"dach": (0.4, 0.15), "nordics": (0.2, 0.05), "benelux": (0.15, 0.0), "south": (0.25, -0.1)}
LEVELS = {
    "executive": (0.1, 1.1),
    "director": (0.18, 0.6),
    "manager": (0.32, 0.1),
    "specialist": (0.3, -0.5),
    "intern": (0.1, -1.2),
}
UNSEEN = ("social_campaign", "space", "founder")
"""What `new_values` writes into lead source, industry and job level; each is worth 0, an average lead's logit."""


@dataclass
class _Inputs:
    """Columns before any value is hidden, and the logits of the categories."""

    source: Objects
    source_logit: Array
    industry: Objects
    industry_logit: Array
    region: Objects
    region_logit: Array
    level: Objects
    level_logit: Array
    employees: Array
    pages: Array
    emails: Array
    days: Array
    trial: Mask


def generate(sample: Sample) -> Generated:
    """The leads of this sample: columns as in the module's description, missing values as None or NaN."""
    draw = np.random.default_rng(sample.seed)
    n = sample.rows
    drift = sample.drift
    affected = np.zeros(n, dtype=bool)
    if drift:
        affected = (np.arange(n) >= drift.start * n) & (draw.random(n) < drift.strength)

    def when(kind: DriftKind) -> Mask:
        return affected & (drift is not None and drift.kind == kind)

    inputs = _draw_inputs(draw, n)
    _drift_inputs(draw, inputs, when)
    score = 1 / (1 + np.exp(-_logit(inputs, when("concept"))))
    converted = draw.random(n) < score

    lost = when("lost_tracking")
    frame = pd.DataFrame(
        {
            "lead_id": [f"L-{i:07d}" for i in range(1, n + 1)],
            "created_at": pd.Timestamp("2024-01-01", tz="UTC") + EVERY * np.arange(n),
            "lead_source": inputs.source,
            "industry": _hide(inputs.industry, draw.random(n) < 0.06),
            "region": inputs.region,
            "job_level": _hide(inputs.level, (draw.random(n) < 0.09) | lost),
            "employees": np.where(draw.random(n) < 0.12, np.nan, inputs.employees),
            "pages_viewed": np.where(lost, np.nan, inputs.pages),
            "emails_opened": np.where((draw.random(n) < 0.04) | lost, np.nan, inputs.emails),
            "days_since_first_touch": inputs.days,
            "trial_started": _hide(inputs.trial.astype(object), (draw.random(n) < 0.03) | lost),
            "crm_instance": "eu-1",
            "tracking_token": [f"{token:016x}" for token in draw.integers(0, 2**63, n)],
            "contract_value": np.where(converted, np.round(draw.lognormal(8, 0.5, n)), np.nan),
            "converted": converted,
        }
    )
    return Generated(frame, score)


def _draw_inputs(draw: np.random.Generator, n: int) -> _Inputs:
    source, source_logit = _pick(draw, SOURCES, n)
    industry, industry_logit = _pick(draw, INDUSTRIES, n)
    region, region_logit = _pick(draw, REGIONS, n)
    level, level_logit = _pick(draw, LEVELS, n)
    return _Inputs(
        source=source,
        source_logit=source_logit,
        industry=industry,
        industry_logit=industry_logit,
        region=region,
        region_logit=region_logit,
        level=level,
        level_logit=level_logit,
        employees=np.clip(np.round(np.exp(draw.normal(np.log(60), 1.4, n))), 1, 200_000),
        pages=draw.negative_binomial(1.1, 0.16, n).astype(float),
        emails=draw.negative_binomial(0.9, 0.25, n).astype(float),
        days=np.round(draw.exponential(45, n), 1),
        trial=draw.random(n) < 0.22,
    )


def _drift_inputs(draw: np.random.Generator, inputs: _Inputs, when: Callable[[DriftKind], Mask]) -> None:
    """Change the inputs where `when(kind)` says that this drift affects a lead."""
    campaign, narrow, even = when("source_mix"), when("narrow_market"), when("even_engagement")
    source = (inputs.source, inputs.source_logit)
    industry = (inputs.industry, inputs.industry_logit)
    level = (inputs.level, inputs.level_logit)
    _put(campaign, source, "paid_search", SOURCES["paid_search"][1])
    _put(narrow, industry, "manufacturing", INDUSTRIES["manufacturing"][1])
    _put(narrow, level, "manager", LEVELS["manager"][1])
    for column, value in zip((source, industry, level), UNSEEN, strict=True):
        _put(when("new_values"), column, value, 0.0)
    # Drawn without any drift too, so that the draws after it are the same with and without.
    narrow_employees = np.round(np.exp(draw.normal(np.log(200), 0.2, len(narrow))))
    inputs.employees = np.where(narrow, narrow_employees, inputs.employees)
    inputs.pages = np.where(campaign, 2 + inputs.pages % 2, inputs.pages)
    inputs.pages = np.where(even, 4 + inputs.pages % 2, inputs.pages)
    inputs.emails = np.where(even, 1 + inputs.emails % 2, inputs.emails)
    inputs.days = np.where(narrow | even, np.round(24 + inputs.days % 7, 1), inputs.days)
    inputs.trial &= ~(campaign | even)


def _logit(inputs: _Inputs, concept: Mask) -> Array:
    """The logit of each lead's probability to convert; `concept` marks the leads whose worth has changed."""
    small = inputs.employees < 50
    size = 0.75 * np.exp(-(((np.log(inputs.employees) - np.log(150)) / 1.1) ** 2))
    size = np.where(concept & small, -1.0, size)
    engagement = 0.45 * (np.log1p(inputs.pages) - 1.5) + 0.35 * (np.log1p(inputs.emails) - 0.9)
    engagement = np.where(concept, 0.1 * engagement, engagement)
    logit = inputs.source_logit + inputs.industry_logit + inputs.region_logit + inputs.level_logit + size + engagement
    logit += -0.45 * (np.log1p(inputs.days) - 3.3) + inputs.trial * (1.1 + 0.6 * small) - 3.5
    return logit


def _pick(draw: np.random.Generator, shares: dict[str, tuple[float, float]], n: int) -> tuple[Objects, Array]:
    names = np.array(list(shares), dtype=object)
    share, logit = np.array(list(shares.values())).T
    which = draw.choice(len(names), n, p=share)
    return names[which], logit[which]


def _put(rows: Mask, column: tuple[Objects, Array], name: str, logit: float) -> None:
    names, logits = column
    names[rows], logits[rows] = name, logit


def _hide(column: Objects, rows: Mask) -> Objects:
    hidden = column.copy()
    hidden[rows] = None
    return hidden
