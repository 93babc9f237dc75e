"""One model version in service: requests' bodies in, answers' bodies and records out."""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from datetime import UTC, datetime
from functools import cached_property
from itertools import repeat
from typing import Any, NamedTuple, get_args

import msgspec
from pydantic import BaseModel

from service.api import cells, contract
from service.api.cells import RowScore
from service.api.contract import ExplainedScore, ExploringScore, LeadScore, ScoreResponse
from service.api.problem import FieldError, Problem
from service.model.bundle import Bundle
from service.model.contact_rule import ContactRule, Policy
from service.model.decide import Decider, Decision
from service.model.reasons import Explainer, Reason
from service.model.words import Wording
from service.reading.ids import join_key
from service.records import TRIALS, PredictionRecord, to_lines

_encode = msgspec.json.Encoder().encode

MAX_EXPLAINED = 100
"""Leads in one request that are explained; each costs as many scorings as it has features."""


class ScoreRequest(NamedTuple):
    """A request: its body, its id, and when it came (a time.perf_counter())."""

    body: bytes
    request_id: str
    started: float


class BatchResult(NamedTuple):
    """One answer or refusal a request, all records as JSON lines, how many leads were decided how, and the scores."""

    answers: list[bytes | Problem]
    lines: bytes
    decisions: dict[Decision, int]
    tenths: list[int]  # of the scale: how many scores lie in each


class Decided(NamedTuple):
    """What was decided on leads, column by column, and their records as JSON lines.

    Policy and probability are None of every lead where none is explored.
    """

    decisions: list[Decision]
    bands: list[str]
    policies: Iterable[Policy | None]
    probabilities: Iterable[float | None]
    lines: bytes


class Scorer:
    """Everything that a request needs, made from one bundle: what it scores is scored by one version."""

    def __init__(self, bundle: Bundle, max_leads: int) -> None:
        self.bundle, self.loaded_at = bundle, datetime.now(UTC)
        self._max_leads = max_leads
        self._decode = contract.decoder(bundle.engine.features, max_leads).decode
        self._decider = Decider(bundle.manifest)

    @property
    def rule(self) -> ContactRule:
        """The contact rule that it decides by."""
        return self._decider.rule

    def ruled_by(self, rule: ContactRule) -> "Scorer":
        """The same bundle under another contact rule."""
        other = copy(self)
        other._decider = Decider(self.bundle.manifest, rule)
        return other

    @cached_property
    def request_model(self) -> type[BaseModel]:
        """The described form of a request; made when it is first asked for."""
        return contract.request_model(self.bundle, self._max_leads)

    @cached_property
    def explainer(self) -> Explainer:
        """Finds what moved a score; made when it is first asked for."""
        bundle = self.bundle
        return Explainer(bundle.engine, bundle.manifest.encoding, bundle.manifest.lead_schema, bundle.reference)

    @cached_property
    def wording(self) -> Wording:
        """Says in words what moved a score; made when it is first asked for."""
        return Wording(self.bundle.engine, self.bundle.manifest.lead_schema, self.bundle.reference)

    def score(self, together: Sequence[ScoreRequest], explain: bool = False) -> BatchResult:
        """Decode, score and encode; the engine is called once for all. A bad request is refused alone."""
        decoded = [self._leads(asked.body, explain) for asked in together]
        features = [lead.features for leads in decoded if isinstance(leads, list) for lead in leads]
        scores = self.bundle.engine.score(features) if features else []
        reasons = self.explainer.reasons(features, scores) if explain and features else None
        ids, request_ids, latencies_ms = _by_lead(together, decoded)
        decided = self._decided(request_ids, ids, self._explorable(_sent_ids(decoded)), features, scores, latencies_ms)
        answers = self._answers(ids, scores, decided, reasons)
        line, decisions = self.rule.line, decided.decisions
        return BatchResult(
            _responses(together, decoded, answers, line), decided.lines, _counted(decisions), _tenths(scores)
        )

    def _answers(
        self, ids: Sequence[str], scores: Sequence[float], decided: Decided, reasons: Sequence[list[Reason]] | None
    ) -> Sequence[LeadScore]:
        version = repeat(self.bundle.version)
        columns = (ids, scores, decided.decisions, decided.bands, version)
        if reasons is not None:
            return list(map(ExplainedScore, *columns, reasons, decided.policies, decided.probabilities))
        if self.rule.explores:
            return list(map(ExploringScore, *columns, decided.policies, decided.probabilities))
        return list(map(LeadScore, *columns))

    def score_cells(self, asked: ScoreRequest, explain: bool) -> BatchResult:
        """Read the rows' cells, score the rows that can be read, and encode. Raises Problem for the whole request."""
        request = cells.decode(asked.body, MAX_EXPLAINED if explain else self._max_leads)
        columns = cells.Columns(self.bundle, request.columns, request.id_column)
        if columns.doubtful:
            errors = [FieldError("columns", f"{name!r} is there more than once") for name in columns.doubtful]
            raise Problem(cells.UNFIT, "no lead scored", errors)
        rows = [columns.read(row, f"{asked.request_id}-{i}") for i, row in enumerate(request.rows)]
        placed = [(i, row.lead_id, row.lead) for i, row in enumerate(rows) if row.lead is not None]
        features = [lead for _, _, lead in placed]
        scores = self.bundle.engine.score(features) if features else []
        reasons = self.explainer.reasons(features, scores) if explain and features else None
        took_ms = round((time.perf_counter() - asked.started) * 1e3, 3)
        ids = [lead_id for _, lead_id, _ in placed]
        explorable = self._explorable(repeat(None, len(ids)) if columns.id_place is None else ids)
        decided = self._decided([asked.request_id] * len(ids), ids, explorable, features, scores, [took_ms] * len(ids))
        drawn_ones = self._drawn(ids, explorable)
        columns_of_rule = (decided.decisions, decided.bands, decided.policies, decided.probabilities, drawn_ones)
        ruled = list(zip(*columns_of_rule, strict=False))
        results = [RowScore(row.lead_id, problems=row.problems) for row in rows]
        worth = self.bundle.manifest.economics.expected_value
        for at, (i, lead_id, lead) in enumerate(placed):
            why = reasons[at] if reasons else None
            said = None if why is None else self.wording.say(why, lead, columns.written(request.rows[i]))
            decision, band, policy, probability, drawn = ruled[at]
            results[i] = RowScore(
                lead_id,
                scores[at],
                decision,
                band,
                worth(scores[at]),
                self.bundle.version,
                policy,
                probability,
                drawn,
                said,
                why,
            )
        answer = _encode(cells.CellsResponse(asked.request_id, results, self.rule.line))
        return BatchResult([answer], decided.lines, _counted(decided.decisions), _tenths(scores))

    def _decided(
        self,
        request_ids: Sequence[str],
        ids: Sequence[str],
        explorable: Sequence[bool],
        features: Sequence[Any],
        scores: Sequence[float],
        latencies_ms: Sequence[float],
    ) -> Decided:
        meanings = self._decider.meanings(scores)
        decisions, bands = [decision for decision, _ in meanings], [band for _, band in meanings]
        policies: Iterable[Policy | None] = repeat(None)
        probabilities: Iterable[float | None] = repeat(None)
        if self.rule.explores:
            decisions, policies, probabilities = self._exploring(decisions, ids, explorable)
        now, version = datetime.now(UTC), self.bundle.version
        # Column by column: a walk from lead to lead takes twice as long.
        columns = (request_ids, ids, repeat(now), repeat(version), features, scores, decisions, bands, latencies_ms)
        said = self._said_of_all(ids)
        by_rule = (policies, probabilities) if self.rule.explores else ()  # two columns more take a while
        lines = to_lines(list(map(PredictionRecord, *columns, *said, *by_rule)))
        return Decided(decisions, bands, policies, probabilities, lines)

    def _exploring(
        self, by_line: Sequence[Decision], ids: Sequence[str], explorable: Sequence[bool]
    ) -> tuple[list[Decision], list[Policy | None], list[float | None]]:
        """Decision, policy and probability of leads with these decisions by the line."""
        decisions, probability = list(by_line), self.rule.explore_probability
        policies: list[Policy | None] = ["line"] * len(ids)
        probabilities: list[float | None] = [1.0 if decision == "contact" else probability for decision in decisions]
        for place, drawn in enumerate(self._drawn(ids, explorable)):
            if decisions[place] == "skip" and not explorable[place]:
                probabilities[place] = 0.0
            elif decisions[place] == "skip" and drawn:
                decisions[place], policies[place] = "contact", "explore"
        return decisions, policies, probabilities

    def _explorable(self, sent: Iterable[str | None]) -> Sequence[bool]:
        """Of each lead, sent with this id or none, whether it may be explored; empty where none is.

        No trial is. Nor is a lead without an id of its own: the id that it gets is another in each request, so that a
        retry would draw anew.
        """
        if not self.rule.explores:
            return ()
        return [lead_id is not None and not lead_id.startswith(TRIALS) for lead_id in sent]

    def _drawn(self, ids: Sequence[str], explorable: Sequence[bool]) -> Iterable[bool]:
        """Of each lead whether it is explored where it is below the line."""
        if not self.rule.explores:
            return repeat(False)
        drawn = self.rule.drawn(self.bundle.manifest.provenance.source, map(join_key, ids))
        return [each and may for each, may in zip(drawn, explorable, strict=True)]

    def _said_of_all(self, ids: Sequence[str]) -> tuple[Iterable[str | float], ...]:
        """Source, channel, line and role of the leads' records."""
        manifest = self.bundle.manifest
        channels = ["trial" if lead_id.startswith(TRIALS) else "api" for lead_id in ids]
        return repeat(manifest.provenance.source), channels, repeat(self.rule.line), repeat("champion")

    def _leads(self, body: bytes, explain: bool) -> list[Any] | Problem:
        try:
            leads: list[Any] = self._decode(body).leads
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return contract.refusal(self.request_model, body, error)
        if explain and len(leads) > MAX_EXPLAINED:
            why = f"at most {MAX_EXPLAINED} leads a request are explained"
            return Problem(422, f"{why}, no lead scored", [FieldError("leads", f"{why}; {len(leads)} were sent")])
        return leads


def _by_lead(
    together: Sequence[ScoreRequest], decoded: Sequence[list[Any] | Problem]
) -> tuple[list[str], list[str], list[float]]:
    """Of each lead that is scored its id, its request's id, and the milliseconds since its request came."""
    ended = time.perf_counter()
    ids: list[str] = []
    request_ids: list[str] = []
    latencies_ms: list[float] = []
    for (_, request_id, started), leads in zip(together, decoded, strict=True):
        if isinstance(leads, list):
            ids += [lead.lead_id or f"{request_id}-{i}" for i, lead in enumerate(leads)]
            request_ids += [request_id] * len(leads)
            latencies_ms += [round((ended - started) * 1e3, 3)] * len(leads)
    return ids, request_ids, latencies_ms


def _sent_ids(decoded: Sequence[list[Any] | Problem]) -> Iterator[str | None]:
    """Of each lead that is scored the id that it was sent with."""
    return (lead.lead_id for leads in decoded if isinstance(leads, list) for lead in leads)


def _responses(
    together: Sequence[ScoreRequest],
    decoded: Sequence[list[Any] | Problem],
    answers: Sequence[LeadScore],
    line: float,
) -> list[bytes | Problem]:
    """Each request's share of the answers, encoded, or its refusal."""
    responses: list[bytes | Problem] = []
    first = 0
    for (_, request_id, _), leads in zip(together, decoded, strict=True):
        if isinstance(leads, list):
            responses.append(_encode(ScoreResponse(request_id, answers[first : first + len(leads)], line)))
            first += len(leads)
        else:
            responses.append(leads)
    return responses


def _counted(decisions: Sequence[Decision]) -> dict[Decision, int]:
    return {decision: decisions.count(decision) for decision in get_args(Decision)}


def _tenths(scores: Sequence[float]) -> list[int]:
    """How many scores lie in each tenth of the scale; 1 is in the last."""
    tenths = [0] * 11
    for score in scores:
        tenths[int(10 * score)] += 1
    return [*tenths[:9], tenths[9] + tenths[10]]


def _request_ids() -> Iterator[str]:
    while True:
        drawn = os.urandom(12 * 256).hex()  # for many at once: each time is a system call
        for first in range(0, len(drawn), 24):
            yield drawn[first : first + 24]


new_request_id = _request_ids().__next__
"""Unguessable, short, and cheap to make. Of one thread: the loop's."""
