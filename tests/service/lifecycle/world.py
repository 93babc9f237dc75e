"""A small world for the loop's jobs: a real bundle, leads that it scored, and what became of them."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from service.lifecycle.training.golden import as_received
from service.model import bundle
from service.model.bundle import Pointer
from service.records import PredictionRecord
from service.storage import open_storage
from tests.service import forge
from tests.service.lifecycle.records import record, upload

DECIDED = """\
metric = "roc_auc"
metric_reason = "a test"
agreed_by = "us"
agreed_on = 2026-01-01
[economics]
conversion_value = 100
contact_cost = 10
"""
"""What people decide, in a lead source's TOML; tables may follow."""

SOURCE = f"""
name = "{{name}}"
path = "own.csv"
target_column = "won"
positive = "yes"
maturity_days = 30
{DECIDED}"""


class World:
    """Folders below `root`, and a source in them."""

    def __init__(self, root: Path, name: str = "world") -> None:
        self.root = root
        self.models, self.predictions, self.leads = (
            open_storage(str(root / part)) for part in ("models", "predictions", "leads")
        )
        self.source = root / "source.toml"
        self.source.write_text(SOURCE.format(name=name))
        (root / "own.csv").write_text("visits,won\n1,yes\n2,no\n")

    def options(self, tracking: str, now: datetime, *more: str) -> list[str]:
        """What a job is called with."""
        places = {"models": self.models, "predictions": self.predictions, "leads": self.leads}
        given = [word for name, place in places.items() for word in (f"--{name}", place.url)]
        return ["--source", str(self.source), *given, "--tracking", tracking, "--now", now.isoformat(), *more]

    def contacted_only(self) -> None:
        """Have the source say that only contacted leads have outcomes."""
        told = self.source.read_text().replace("maturity_days", 'outcomes_of = "contacted"\nmaturity_days')
        self.source.write_text(told)

    def explore(self, share: float) -> None:
        """Have the source say that this share of the contacts explores."""
        told = self.source.read_text().partition("[exploration]")[0]
        self.source.write_text(f"{told}[exploration]\nshare = {share}\n")

    def score(
        self,
        pointer: Pointer,
        since: datetime,
        until: datetime,
        count: int,
        seed: int = 1,
        name: str = "L",
        explore: float = 0.0,
    ) -> dict[str, bool]:
        """Have the bundle score this many leads, evenly over the time; return what became of each.

        Leads below the threshold are contacted with the probability `explore`.
        """
        served = bundle.load(self.models, pointer)
        frame, outcome = forge.rows(count, seed)
        inputs = [as_received(served.manifest.lead_schema, row) for row in frame.to_dict("records")]
        scores = served.engine.score(served.engine.parse(json.dumps(inputs).encode()))
        step, found = (until - since) / count, dict[str, bool]()
        draw = np.random.default_rng([seed, 1])  # the leads are drawn by the seed alone
        records: list[PredictionRecord[dict[str, object]]] = []
        for i, (fields, score, converted) in enumerate(zip(inputs, scores, outcome, strict=True)):
            lead = f"{name}-{seed}-{i:05d}"
            found[lead] = bool(converted)
            by_line, drawn = score >= served.manifest.threshold, draw.random() < explore
            policy = {"policy": "explore" if drawn and not by_line else "line"} if explore else {}
            records.append(
                record(
                    lead,
                    since + step * i,
                    inputs={k: v for k, v in fields.items() if v is not None},
                    score=float(score),
                    model_version=served.version,
                    decision="contact" if by_line or drawn else "skip",
                    band=next(b.name for b in served.manifest.bands if score >= b.min_score),
                    latency_ms=0.5 + i % 10,
                    probability=(1.0 if by_line else explore) if explore else None,
                    **policy,
                )
            )
        upload(self.predictions, records, name=f"i{seed}")
        return found

    def tell(self, outcomes: dict[str, bool], file: str = "crm.csv", share: float = 1.0) -> None:
        """Deliver the outcomes, or a share of them, as the CRM does."""
        told = list(outcomes.items())[: round(share * len(outcomes))]
        lines = ["lead_id,won", *(f"{lead},{'yes' if won else 'no'}" for lead, won in told)]
        self.leads.create(f"outcomes/{file}", "\n".join(lines).encode())


def days(count: float) -> timedelta:
    """Days."""
    return timedelta(days=count)


def shifted(outcomes: dict[str, bool], to: float, seed: int = 0) -> dict[str, bool]:
    """Outcomes without any relation to the leads, of which this share converted."""
    draw = np.random.default_rng(seed)
    return {lead: bool(draw.random() < to) for lead in outcomes}
