"""One model version in service: a request's body in, the answer's body and the records out."""

import os
import time
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, NamedTuple

import msgspec
from pydantic import BaseModel

from service.api import contract
from service.api.contract import ExplainedScore, LeadScore, ScoreResponse
from service.api.problem import FieldError, Problem
from service.model.bundle import Bundle
from service.model.decide import Decider, Decision
from service.model.reasons import Explainer, Reason
from service.records import PredictionRecord, to_lines

_encode = msgspec.json.Encoder().encode

MAX_EXPLAINED = 100
"""Leads in one request that are explained; each costs as many scorings as it has features."""


class Scored(NamedTuple):
    """The answer, its records as JSON lines, how many leads were decided how, and where their scores lie."""

    answer: bytes
    lines: bytes
    decisions: dict[Decision, int]
    tenths: dict[int, int]  # of the scale, 0 to 9: how many scores lie in each


class Scorer:
    """Everything that a request needs, made from one bundle: a request that holds it is answered by one version."""

    def __init__(self, bundle: Bundle, max_leads: int) -> None:
        self.bundle, self.loaded_at = bundle, datetime.now(UTC)
        self._max_leads = max_leads
        self._decode = contract.decoder(bundle.engine.features, max_leads).decode
        self._decider = Decider(bundle.manifest)

    @cached_property
    def request_model(self) -> type[BaseModel]:
        """The described form of a request; made when it is first asked for."""
        return contract.request_model(self.bundle, self._max_leads)

    @cached_property
    def explainer(self) -> Explainer:
        """Finds what moved a score; made when it is first asked for."""
        bundle = self.bundle
        return Explainer(bundle.engine, bundle.manifest.encoding, bundle.manifest.lead_schema, bundle.reference)

    def score(self, body: bytes, request_id: str, started: float, explain: bool = False) -> Scored:
        """Decode, score and encode. `started` is a time.perf_counter(). Raises Problem on a bad request."""
        try:
            leads: list[Any] = self._decode(body).leads
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise contract.refusal(self.request_model, body, error) from None
        scores = self.bundle.engine.score([lead.features for lead in leads])
        reasons = self._explain(leads, scores) if explain else None
        version, now = self.bundle.version, datetime.now(UTC)
        decision, band = self._decider.decision, self._decider.band
        latency_ms = round((time.perf_counter() - started) * 1e3, 3)
        answers, records = [], []
        decisions: dict[Decision, int] = {}
        tenths: dict[int, int] = {}
        # One walk with everything in it: several would cost a lead half as much again.
        for i, (lead, score) in enumerate(zip(leads, scores, strict=True)):
            lead_id, decided, named = lead.lead_id or f"{request_id}-{i}", decision(score), band(score)
            answers.append(LeadScore(lead_id, score, decided, named, version))
            records.append(
                PredictionRecord(
                    request_id=request_id,
                    lead_id=lead_id,
                    time=now,
                    model_version=version,
                    inputs=lead.features,
                    score=score,
                    decision=decided,
                    band=named,
                    latency_ms=latency_ms,
                )
            )
            decisions[decided] = decisions.get(decided, 0) + 1
            tenth = min(int(10 * score), 9)
            tenths[tenth] = tenths.get(tenth, 0) + 1
        if reasons is not None:
            answers = [
                ExplainedScore(**msgspec.structs.asdict(answer), reasons=why)
                for answer, why in zip(answers, reasons, strict=True)
            ]
        return Scored(_encode(ScoreResponse(request_id, answers)), to_lines(records), decisions, tenths)

    def _explain(self, leads: list[Any], scores: list[float]) -> list[list[Reason]]:
        if len(leads) > MAX_EXPLAINED:
            why = f"at most {MAX_EXPLAINED} leads a request are explained"
            raise Problem(422, f"{why}, no lead scored", [FieldError("leads", f"{why}; {len(leads)} were sent")])
        return self.explainer.reasons([lead.features for lead in leads], scores)


def new_request_id() -> str:
    """Unguessable, short, and cheap to make."""
    return os.urandom(12).hex()
