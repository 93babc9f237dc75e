from typing import Any

import pyarrow as pa

from service.lifecycle.relations.contacts import GROUP_ROWS, groups
from tests.service.lifecycle.relations.labelled_leads import Tables

LEADS = pa.table(
    {
        "lead_key": ["a", "b", "c", "d", "e"],
        "is_ripe": [True, True, True, True, False],
        "is_after": [False, False, False, False, False],
        "contacted": [True, True, False, True, True],
        "is_labelled": [True, True, False, False, True],
        "weight": [1.0, 4.0, 1.0, 1.0, 1.0],
        "target": [1, 1, 0, 1, 1],
        "first_score": [0.5, 0.25, 0.75, 0.5, 0.5],
    }
)


def counted(rows: list[dict[str, Any]], *names: str) -> dict[tuple[str, str], dict[str, Any]]:
    numbered = [{"file_number": 0, "row": number} | row for number, row in enumerate(rows)]
    engine = Tables(scored_outcomes=LEADS, group_rows=pa.Table.from_pylist(numbered, schema=GROUP_ROWS))
    engine.define(groups(names))
    found = engine.results(["group_counts"])["group_counts"].to_pylist()
    return {(row.pop("name"), row.pop("value")): row for row in found}


def in_group(lead: str, value: str, **more: Any) -> dict[str, Any]:
    return {"lead_key": lead, "name": "country", "value": value} | more


def test_leads_are_counted_by_each_group_and_those_in_none_too() -> None:
    found = counted([in_group("a", "DE"), in_group("b", "DE"), in_group("c", "AT"), in_group("e", "DE")], "country")
    assert found == {
        ("country", "DE"): {
            "leads": 2,
            "contacted": 2,
            "labelled": 2,
            "weight_sum": 5.0,
            "square_sum": 17.0,
            "weighted_converted": 5.0,
            "weighted_score": 1.5,
        },
        ("country", "AT"): dict.fromkeys(found["country", "DE"], 0) | {"leads": 1},
        ("country", ""): dict.fromkeys(found["country", "DE"], 0) | {"leads": 1, "contacted": 1},
    }
    both = counted([in_group("a", "DE")], "country", "o'clock")
    assert sum(row["leads"] for row in both.values()) == 8
    assert both["o'clock", ""]["leads"] == 4


def test_the_last_row_of_a_lead_holds() -> None:
    rows = [in_group("a", "DE"), in_group("a", "AT"), in_group("b", "AT", file_number=1), in_group("b", "DE")]
    found = counted(rows, "country")
    assert {value: row["leads"] for (_, value), row in found.items()} == {"AT": 2, "": 2}
