"""What the relations of `agreement.everything` hold, computed row by row in Python: the reference of both engines."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from service.lifecycle.evaluation.scored import prepare
from service.lifecycle.relations.bins import LATENCY_LOWEST, LATENCY_OCTAVES, LATENCY_STEPS, bin_of
from service.lifecycle.relations.cells import NEAR
from service.lifecycle.relations.outcomes import CLIP, CONTRADICTED, CONVERTED, LOST, OPEN, LabelRules
from service.lifecycle.relations.sample_plan import DIGITS, NEWEST, KnownLeads, place_of, places_of, plan
from service.model.choices import parted
from service.model.schema import LeadSchema
from service.reading.ids import join_key
from service.records import TRIALS
from tests.service import forge
from tests.service.lifecycle.relations.agreement import (
    BEGINS,
    LABEL_COLUMNS,
    LINES,
    REFERENCE,
    RULES,
    SCHEMAS,
    SEED,
    SINCE,
    contact_rows,
)

Row = dict[str, Any]
Rows = dict[tuple[Any, ...], tuple[Any, ...]]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INPUTS = {"text:job": "job", "text:interests": "interests", "boolean:ok": "ok", "number:age": "age"}


def everything(records: pa.Table, seen: pa.Table, said: pa.Table, own: set[str]) -> dict[str, Rows]:
    """By relation, then by the columns that tell its rows apart, the others'."""
    first = _first_scores(
        records.to_pylist(), dict(zip(seen["lead_key"].to_pylist(), seen["time"].to_pylist(), strict=True))
    )
    states, times, contradictions = outcomes_of(said.to_pylist())
    contacted = contacts(contact_rows(said).to_pylist(), first)
    scored = scored_outcomes(first, states, times, contacted, RULES)
    labelled = [row for row in scored if row["is_labelled"]]
    judged = _judged(scored)
    found = {
        "first_scores": {(r["lead_key"],): (r["request_id"], r["time"], r["score"]) for r in first},
        "record_counts": _record_counts(records.to_pylist()),
        "outcomes": {(lead,): (state, times[lead]) for lead, state in states.items()},
        "contacts": {(lead,): (at,) for lead, at in contacted.items()},
        "scored_outcomes": {(r["lead_key"],): tuple(r[name] for name in LABEL_COLUMNS) for r in scored},
        "outcome_counts": {(state,): (leads,) for state, leads in Counter(states.values()).items()},
        "contradictions": {(row["row"],): (row["lead_key"],) for row in contradictions},
        "labelled": {(r["lead_key"],): (r["target"], r["weight"]) for r in labelled},
        "judged_leads": {(r["lead_key"],): (r["explored"], r["target"], r["weight"]) for r in judged},
        "label_counts": label_counts(scored),
        "selection_counts": selection_counts(scored),
        "latencies": _latencies(labelled),
        "exploring": _exploring(judged),
    }
    return (
        found | _cells(judged) | _drift(first) | _sample([r for r in labelled if r["lead_key"] not in own], len(said))
    )


def _is_lead(row: Row) -> bool:
    return row["channel"] != "trial" and not row["lead_id"].startswith(tuple(TRIALS)) and row["role"] != "shadow"


def _first_scores(rows: Sequence[Row], seen: dict[str, datetime]) -> list[Row]:
    first: dict[str, Row] = {}
    for row in sorted(
        filter(_is_lead, rows), key=lambda r: (r["time"], r["request_id"], r["model_version"], r["score"])
    ):
        first.setdefault(join_key(row["lead_id"]), row)
    return [row for lead, row in first.items() if lead not in seen or seen[lead] >= SINCE]


def _record_counts(rows: Sequence[Row]) -> Rows:
    every, leads = (Counter(row["channel"] for row in which) for which in (rows, filter(_is_lead, rows)))
    return {(channel,): (count, leads[channel]) for channel, count in every.items()}


def outcomes_of(rows: Sequence[Row]) -> tuple[dict[str, int], dict[str, datetime | None], list[Row]]:
    """The state of each lead and the time of its outcome, and the rows that contradict each other."""
    by_file: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in rows:
        by_file[row["lead_key"], row["file_number"]].append(row)
    states: dict[str, int] = {}
    times: dict[tuple[str, int], list[datetime]] = defaultdict(list)
    contradictions: list[Row] = []
    for (lead, _), mine in sorted(by_file.items()):
        said_at: dict[datetime, set[Any]] = defaultdict(set)
        for row in mine:
            said_at[row["time"] or EPOCH].add(row["converted"])
        meant = {at: _state(values) for at, values in said_at.items()}
        for at, state in meant.items():
            times[lead, state] += [at] if at > EPOCH else []
        state = meant[max(meant)]
        last = [row for row in mine if (row["time"] or EPOCH) == max(meant)]
        contradictions += last if state == CONTRADICTED else []
        if state != CONTRADICTED or lead not in states:
            states[lead] = state
    final = {lead: state for lead, state in states.items() if state in (LOST, CONVERTED)}
    earliest = {lead: min(times[lead, state], default=None) for lead, state in final.items()}
    return states, dict.fromkeys(states) | earliest, contradictions


def _state(said: set[Any]) -> int:
    told = said - {None}
    return OPEN if not told else CONTRADICTED if len(told) == 2 else CONVERTED if told == {True} else LOST


def contacts(rows: Sequence[Row], first: Iterable[Row]) -> dict[str, datetime | None]:
    """When each lead was contacted: the first time since a day before its first score, else the first time."""
    scored, found = {row["lead_key"]: row["time"] for row in first}, dict[str, datetime | None]()
    for lead, mine in _by(rows, lambda r: (r["lead_key"],)).items():
        times = [row["time"] for row in mine if row["time"]]
        after = [at for at in times if lead[0] in scored and at >= scored[lead[0]] - timedelta(days=1)]
        found[lead[0]] = min(after or times, default=None)
    return found


def scored_outcomes(
    first: Iterable[Row],
    states: dict[str, int],
    times: dict[str, datetime | None],
    contacted: dict[str, datetime | None],
    rules: LabelRules,
) -> list[Row]:
    """The first scores with LABEL_COLUMNS."""
    told = any(state in (LOST, CONVERTED) for state in states.values())
    found = []
    for row in first:
        lead, scored = row["lead_key"], row["time"]
        state, at = states.get(lead), times.get(lead)
        known, ripe = state in (LOST, CONVERTED), scored <= rules.ripe
        end = at and (at + timedelta(days=1) if at == at.replace(hour=0, minute=0, second=0, microsecond=0) else at)
        after = known and end is not None and end < scored
        called = row["decision"] == "contact"
        if rules.contact_log:
            reached = contacted.get(lead)
            called = lead in contacted and (
                reached is None or scored - timedelta(days=1) <= reached <= scored + rules.maturity
            )
        chosen, probability = row["decision"] == "contact", row["probability"]
        counted, weight = not after, 1.0
        if rules.outcomes_of == "contacted":
            counted = counted and called and chosen
            weight = 1 / max(1.0 if probability is None else probability, CLIP)
        lost, labelled = False, ripe and known
        if rules.complete is not None:
            heard = told and scored <= rules.complete
            lost = heard and counted and state in (None, OPEN)
            labelled = heard and state != CONTRADICTED
        found.append(
            row
            | {
                "target": int(state == CONVERTED and (at is None or at <= scored + rules.maturity)),
                "contacted": called,
                "explored": chosen and row["policy"] == "explore",
                "probability": 1.0 if probability is None else probability,
                "weight": weight,
                "is_labelled": counted and labelled,
                "is_lost": lost,
                "is_known": known,
                "is_ripe": ripe,
                "is_after": after,
                "is_chosen": chosen,
            }
        )
    return found


def _judged(scored: Iterable[Row]) -> list[Row]:
    """Labelled leads, and of the other ripe ones what is there without a label. RULES are of contacted leads."""
    return [
        row if row["is_labelled"] else row | {"target": 0, "weight": 0.0}
        for row in scored
        if row["is_labelled"] or (row["is_ripe"] and not row["is_after"])
    ]


def label_counts(scored: Sequence[Row]) -> Rows:
    """The relation of this name."""
    without = sum(r["is_ripe"] and not r["is_known"] and not r["is_lost"] for r in scored)
    labelled, lost, known, after = (
        sum(r[name] for r in scored) for name in ("is_labelled", "is_lost", "is_known", "is_after")
    )
    return {(len(scored),): (labelled, lost, without, known, after)}


def selection_counts(scored: Sequence[Row]) -> Rows:
    """The relation of this name."""

    def group(row: Row) -> tuple[Any, ...]:
        bin_ = int(bin_of(np.array([row["score"]]))[0])
        return row["is_chosen"], row["contacted"], row["explored"], bin_, row["is_known"], row["is_labelled"]

    groups = _by([r for r in scored if r["is_ripe"] and not r["is_after"]], group)
    return {
        key: (
            len(rows),
            sum(r["target"] for r in rows),
            float(sum(r["score"] for r in rows)),
            sum(r["weight"] for r in rows),
            sum(r["weight"] * r["weight"] for r in rows),
            sum(r["weight"] * r["target"] for r in rows),
        )
        for key, rows in groups.items()
    }


def _latencies(labelled: Iterable[Row]) -> Rows:
    def step(milliseconds: float) -> int:
        reached = [k for k in range(LATENCY_OCTAVES) if milliseconds >= 2.0 ** (LATENCY_LOWEST + k)]
        octave = max(reached, default=0)
        return int(milliseconds * 2.0 ** (LATENCY_STEPS - LATENCY_LOWEST - octave)) + (octave << LATENCY_STEPS)

    def summed(rows: Sequence[Row]) -> tuple[Any, ...]:
        latencies = [r["latency_ms"] for r in rows]
        return float(len(rows)), sum(latencies), max(latencies)

    return {
        key: summed(rows) for key, rows in _by(labelled, lambda r: (r["model_version"], step(r["latency_ms"]))).items()
    }


def _exploring(judged: Iterable[Row]) -> Rows:
    def ends(rows: Sequence[Row]) -> tuple[Any, ...]:
        explored = [row["time"] for row in rows if row["explored"] and row["weight"]]
        return min(explored, default=None), max(row["time"] for row in rows)

    return {key: ends(rows) for key, rows in _by(judged, lambda r: (r["model_version"],)).items()}


def _by(rows: Iterable[Row], key: Any) -> dict[tuple[Any, ...], list[Row]]:
    found: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return found


def _cells(judged: Sequence[Row]) -> dict[str, Rows]:
    placed, cuts = list[Row](), Rows()
    for version, threshold, capacity in zip(*(LINES[name].to_pylist() for name in LINES.column_names), strict=True):
        mine = [
            row | {"decided": row["decision"] == "contact" and not row["explored"]}
            for row in judged
            if row["model_version"] == version
        ]
        seen = 0
        for (day,), of_day in sorted(_by(mine, lambda r: (_day(r["time"]),)).items()):
            most = capacity * (seen + len(of_day)) // 1000 - capacity * seen // 1000
            seen += len(of_day)
            cut, share = _cut([row for row in of_day if row["decided"]], most)
            if cut is not None:
                cuts[version, day] = (cut, share)
            for row in of_day:
                decided, score = row["decided"], row["score"]
                made = float(decided) if cut is None or score > cut else share if decided and score == cut else 0.0
                place = (int(bin_of(np.array([score]))[0]), score >= threshold, decided)
                cell = (*place, row["explored"], row["target"], row["weight"])
                placed.append(row | {"cell": cell, "made": made, "near": abs(score - threshold) <= NEAR * threshold})
    segments, large = Rows(), Rows()
    for version, schema in SCHEMAS.items():
        mine = [row for row in placed if row["model_version"] == version]
        for name, by_value in _values(schema, mine).items():
            for value, rows in by_value.items():
                outcomes = [row["target"] for row in rows if row["weight"]]
                if len(rows) >= 0.05 * len(mine) and min(sum(outcomes), len(outcomes) - sum(outcomes)) >= 5:
                    large[version, name, value] = ()
                    segments |= {
                        (version, name, value, *cell): _sums(same)
                        for cell, same in _by(rows, lambda r: r["cell"]).items()
                    }
    by_cell = _by(placed, lambda r: (r["model_version"], r["band"], *r["cell"]))
    return {
        "cells": {key: _sums(rows) for key, rows in by_cell.items()},
        "cuts": cuts,
        "segment_choices": _choices(placed),
        "segment_cells": segments,
        "large_segments": large,
    }


def _choices(placed: Sequence[Row]) -> Rows:
    """What is in the different cells of the columns that hold several choices."""
    found = Rows()
    for number, (version, schema) in enumerate(SCHEMAS.items()):
        columns = {name: column for column, name in INPUTS.items()}
        for feature in schema.features:
            cells = {row[columns[feature.name]] for row in placed if row["model_version"] == version}
            for cell in cells - {None, "", *feature.missing}:
                choices = parted(cell, feature.separator) if feature.separator else []
                found |= {(number, feature.name, cell, choice): () for choice in choices}
    return found


def _values(schema: LeadSchema, rows: Sequence[Row]) -> dict[str, dict[str, list[Row]]]:
    """The rows by feature and value; a row with several choices has several values."""
    frame = prepare(schema, [{name: row[column] for column, name in INPUTS.items()} for row in rows])
    found: dict[str, dict[str, list[Row]]] = {}
    for name in schema.named("category", "boolean"):
        mark, by_value = schema.separators.get(name), defaultdict[str, list[Row]](list)
        for row, cell in zip(rows, frame[name], strict=True):
            value = "" if cell != cell else str(cell)
            for each in (parted(value, mark) or [""]) if mark else [value]:
                by_value[each].append(row)
        found[name] = by_value
    return found


def _sums(rows: Sequence[Row]) -> tuple[Any, ...]:
    scores = [row["score"] for row in rows]
    return (
        float(len(rows)),
        sum(scores),
        min(scores),
        max(scores),
        float(sum(r["near"] for r in rows)),
        sum(r["made"] for r in rows),
    )


def _day(time: datetime) -> datetime:
    return time.replace(hour=0, minute=0, second=0, microsecond=0)


def _cut(decided: Iterable[Row], most: float) -> tuple[float | None, float]:
    before = 0
    for (score,), rows in sorted(_by(decided, lambda r: (r["score"],)).items(), reverse=True):
        if before + len(rows) > most:
            return score, (most - before) / len(rows)
        before += len(rows)
    return None, 1.0


def _drift(first: Sequence[Row]) -> dict[str, Rows]:
    counts = [sum(row["time"] >= begin for row in first) for begin in BEGINS]
    place = next((i for i, count in enumerate(counts) if count >= max(1, len(first) // 3)), len(BEGINS) - 1)
    window = [row for row in first if row["time"] >= BEGINS[place]]
    mine = [row for row in window if row["model_version"] == "v1"]
    frame = prepare(SCHEMAS["v1"], [{name: row[column] for column, name in INPUTS.items()} for row in mine])
    counted = enumerate(forge.counted(REFERENCE, frame))
    return {
        "chosen": {(place,): ()},
        "versions": {(v,): (n,) for v, n in Counter(row["model_version"] for row in window).items()},
        "feature_counts": {(i, at): (int(n),) for i, each in counted for at, n in enumerate(each) if n},
        "rescored": {(row["lead_key"],): tuple(row[name] for name in INPUTS) for row in mine},
    }


def _sample(rows: Sequence[Row], said: int) -> dict[str, Rows]:
    """The sample of the labelled leads that are not known otherwise."""
    keys = [row["lead_key"] for row in rows]
    target = np.array([row["target"] for row in rows])
    moments = np.array([(row["time"] - EPOCH).total_seconds() * 1e6 for row in rows], dtype=np.int64)
    known, size = KnownLeads(moments, places_of(keys, SEED), target), max(8, said // 20)
    made = plan([known], size, SEED)
    kept = known.kept(made) if made else np.full(len(rows), NEWEST)
    newest = sorted(rows, key=lambda r: (-r["time"].timestamp(), place_of(r["lead_key"], SEED)[DIGITS:]))[: size // 4]
    return {
        "sample": {
            (row["lead_id"],): (int(stratum),) for row, stratum in zip(rows, kept, strict=True) if stratum >= NEWEST
        },
        "sample_newest": {(place_of(r["lead_key"], SEED)[DIGITS:],): (r["time"], r["target"]) for r in newest},
        "sample_hours": {
            key: (len(mine),)
            for key, mine in _by(
                rows, lambda r: (r["time"].replace(minute=0, second=0, microsecond=0), r["target"])
            ).items()
        },
    }
