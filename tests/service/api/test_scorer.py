"""One bundle in service: the answer, the record and the contact rule."""

import json
import re
from typing import Any

import pytest

from service.api.scorer import Scorer, ScoreRequest, new_request_id
from service.model.bundle import Bundle, load, read_pointer
from service.model.contact_rule import ContactRule
from service.storage import open_storage
from tests.service import forge

RULE = ContactRule(line=0.5, explore_probability=0.4)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    models = open_storage(str(tmp_path_factory.mktemp("models")))
    forge.release(models)
    pointed = read_pointer(models)
    assert pointed is not None
    return load(models, pointed[0])


def asked(count: int = 60, prefix: str = "lead-", suffix: str | None = None) -> ScoreRequest:
    ids = [f"{prefix}{i}" if suffix is None else f"{i}{suffix}" for i in range(count)]
    leads = [{"lead_id": ids[i], "features": {"visits": i % 12}} for i in range(count)]
    return ScoreRequest(json.dumps({"leads": leads}).encode(), "r", 0.0)


def scored(scorer: Scorer, request: ScoreRequest, explain: bool = False) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    result = scorer.score([request], explain)
    (answer,) = result.answers
    assert isinstance(answer, bytes)
    return json.loads(answer), [json.loads(line) for line in result.lines.splitlines()]


def test_without_exploration_an_answer_names_the_line_and_no_policy(bundle: Bundle) -> None:
    answer, records = scored(Scorer(bundle, 100), asked())
    assert answer["line"] == 0.4
    assert set(answer["scores"][0]) == {"lead_id", "score", "decision", "band", "model_version"}
    assert all(r["line"] == 0.4 and "policy" not in r and "probability" not in r for r in records)


@pytest.mark.parametrize("explain", [False, True])
def test_with_exploration_answer_and_record_say_why_a_lead_is_contacted(bundle: Bundle, explain: bool) -> None:
    scorer = Scorer(bundle, 100).ruled_by(RULE)
    answer, records = scored(scorer, asked(), explain)
    drawn = RULE.drawn("forge", [f"lead-{i}" for i in range(60)])
    assert answer["line"] == 0.5
    found = set()
    for said, record, is_drawn in zip(answer["scores"], records, drawn, strict=True):
        above = said["score"] >= 0.5
        expected = ("contact", "line", 1) if above else ("contact" if is_drawn else "skip",)
        if not above:
            expected = (*expected, "explore" if is_drawn else "line", 0.4)
        assert (said["decision"], said["policy"], said["probability"]) == expected
        assert {**said, **record} == {**record, **said}
        assert record["line"] == 0.5
        found.add(expected)
    assert len(found) == 3
    assert scored(scorer, asked(), explain)[0]["scores"] == answer["scores"]  # a retry draws the same


def test_a_lead_is_drawn_alike_under_all_spellings_of_its_id(bundle: Bundle) -> None:
    scorer = Scorer(bundle, 100).ruled_by(RULE)
    names = ("decision", "policy", "probability")
    plain, decimal = (scored(scorer, asked(suffix=suffix))[0]["scores"] for suffix in ("", ".0"))
    assert [[each[name] for name in names] for each in plain] == [[each[name] for name in names] for each in decimal]


def test_the_cells_of_a_lead_are_decided_as_the_lead(bundle: Bundle) -> None:
    scorer = Scorer(bundle, 100).ruled_by(RULE)
    answer, _ = scored(scorer, asked(prefix=""))
    rows = [[f"{i}.0", i % 12] for i in range(60)]
    body = json.dumps({"columns": ["lead_id", "visits"], "rows": rows}).encode()
    result = scorer.score_cells(ScoreRequest(body, "r", 0.0), explain=False)
    (of_cells,) = result.answers
    assert isinstance(of_cells, bytes)
    names = ("lead_id", "decision", "policy", "probability")
    plain = [[each[name] for name in names] for each in answer["scores"]]
    document = json.loads(of_cells)
    assert [[each[name] for name in names] for each in document["rows"]] == plain
    assert [each.get("drawn", False) for each in document["rows"]] == RULE.drawn("forge", map(str, range(60)))
    assert document["line"] == 0.5


def test_a_trial_is_never_explored(bundle: Bundle) -> None:
    answer, _ = scored(Scorer(bundle, 100).ruled_by(RULE), asked(prefix="page-"))
    assert {(s["policy"], s["probability"]) for s in answer["scores"]} == {("line", 1.0), ("line", 0.0)}
    body = json.dumps({"columns": ["lead_id", "visits"], "rows": [[f"page-{i}", i % 12] for i in range(60)]}).encode()
    (of_cells,) = Scorer(bundle, 100).ruled_by(RULE).score_cells(ScoreRequest(body, "r", 0.0), explain=False).answers
    assert isinstance(of_cells, bytes)
    assert not any(row.get("drawn") for row in json.loads(of_cells)["rows"])


def test_a_lead_without_an_id_of_its_own_is_never_explored(bundle: Bundle) -> None:
    certain = RULE.model_copy(update={"explore_probability": 1.0})
    scorer = Scorer(bundle, 100).ruled_by(certain)
    leads: list[dict[str, Any]] = [{"features": {"visits": i % 12}} for i in range(60)]
    body = json.dumps({"leads": [*leads, {**leads[0], "lead_id": "known"}]}).encode()
    cells = json.dumps({"columns": ["visits"], "rows": [[i % 12] for i in range(60)]}).encode()
    names = ("decision", "policy", "probability")
    for request_id in ("first", "retry"):
        answer, records = scored(scorer, ScoreRequest(body, request_id, 0.0))
        result = scorer.score_cells(ScoreRequest(cells, request_id, 0.0), explain=False)
        (of_cells,) = result.answers
        assert isinstance(of_cells, bytes)
        rows = json.loads(of_cells)["rows"]
        assert not any(row.get("drawn") for row in rows)
        of_cells_records = [json.loads(line) for line in result.lines.splitlines()]
        for said in (answer["scores"][:60], records[:60], rows, of_cells_records):
            for each, lead in zip(said, answer["scores"], strict=False):
                above = lead["score"] >= 0.5
                expected = ("contact", "line", 1) if above else ("skip", "line", 0)
                assert tuple(each[name] for name in names) == expected
        assert [answer["scores"][60][name] for name in names] == ["contact", "explore", 1]


def test_a_request_id_has_96_bits_and_never_comes_twice() -> None:
    ids = [new_request_id() for _ in range(1_000)]  # more than are drawn at once
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch("[0-9a-f]{24}", each) for each in ids)
