"""Columns of several choices are told from names, addresses and notes, and the lead source has the last word."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.lifecycle.data.leads import Leads, load
from service.lifecycle.data.several import separator_of
from service.lifecycle.data.source import Source, SourceError
from service.model.bundle import Economics

WORDS = [
    f"{first}{last}" for first in ("Web", "Demo", "News", "Call", "Fair") for last in ("inar", " request", "+", "/DE")
]


def found(cells: list[str]) -> str:
    values, counts = np.unique(np.array(cells, dtype=object), return_counts=True)
    return separator_of([str(value) for value in values], counts)


@settings(max_examples=60, deadline=None)
@given(
    separator=st.sampled_from([";", "; ", "|", " | ", ",", ", "]),
    count=st.integers(4, 20),
    seed=st.integers(0, 10_000),
    ordered=st.booleans(),
)
def test_choices_in_any_order_are_found_with_their_separator(
    separator: str, count: int, seed: int, ordered: bool
) -> None:
    draw, cells = np.random.default_rng(seed), []
    for _ in range(1_500):
        chosen = draw.permutation(count)[: draw.choice([1, 1, 2, 2, 3, 4])]
        cells.append(separator.join(WORDS[i] for i in (sorted(chosen) if ordered else chosen)))
    assert found(cells) == separator.strip()


NAMES = [f"{a}{b}" for a in ("Smi", "Jon", "Bro", "Tay", "Mül") for b in ("th", "es", "wn", "lor", "ler", "ers")]


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(["name", "place", "address", "company", "industry", "path", "note", "decimal"]),
    mark=st.sampled_from([", ", ",", "; ", "|"]),
    few=st.integers(4, 30),
    alone=st.floats(0, 0.6),
    seed=st.integers(0, 10_000),
)
def test_names_places_paths_and_notes_are_single_values(
    kind: str, mark: str, few: int, alone: float, seed: int
) -> None:
    draw = np.random.default_rng(seed)

    def cell() -> str:
        i, j, k = (int(draw.integers(few)) for _ in range(3))
        single = draw.random() < alone
        match kind:
            case "name":  # few surnames and first names meet in all combinations, and a first name may stand alone
                junior = f"{mark}Jr." if draw.random() < 0.05 else ""
                return f"First{j}" if single else f"{NAMES[i]}{mark}First{j}{junior}"
            case "place":
                return f"Country{i % 3}" if single else f"City{i}{mark}Region{i % 5}{mark}Country{i % 3}"
            case "address":
                return f"{i * 31 + k} Main Street{mark}City{j}{mark}{10_000 + i * j}"
            case "company":
                return f"Firm {i * few + j}" if single else f"Firm {i * few + j}{mark}Inc.{mark}{k}"
            case "industry":  # values that hold the mark, among others
                return f"Sector {i}" if single else f"Hotels {i}{mark}Restaurants {i}{mark}Leisure {i}"
            case "path":
                return mark.join(["World", f"Area{i % 3}", f"Land{i}"][: 1 + int(draw.integers(3))])
            case "note":
                return mark.join(f"word{draw.integers(100_000)}" for _ in range(1 + int(draw.integers(4))))
            case _:  # numbers with a decimal comma, and words
                return str(draw.choice(["hot", "cold"])) if single else f"{i},{j},{k}"[: 1 + 2 * int(draw.integers(3))]

    assert found([cell() for _ in range(1_000)]) == ""


def test_too_few_cells_or_combinations_decide_nothing() -> None:
    assert found(["A;B", "B;C", "A;B;C", "A", "B", "C"] * 3) == ""
    assert found(["A;B;C", "A", "B"] * 200) == ""
    tags = ["A;B", "B;C", "A;B;C", "A", "B", "C"] * 40
    assert found(tags) == ";"
    assert found([*tags, *(f"note {i}" for i in range(100))]) == ""


def write(folder: Path, cells: list[str], **keys: object) -> Source:
    lines = [f'"{cell}",{i % 7},{"yes" if "emo" in cell and i % 3 else "no"}' for i, cell in enumerate(cells)]
    (folder / "leads.csv").write_text("\n".join(["interests,visits,won", *lines]))
    return Source.model_validate(
        {
            "name": "crm",
            "path": str(folder / "leads.csv"),
            "target_column": "won",
            "positive": "yes",
            "economics": Economics(conversion_value=2, contact_cost=1),
            **keys,
        }
    )


def several(count: int = 400) -> list[str]:
    draw = np.random.default_rng(0)
    return ["; ".join(draw.permutation(WORDS[:6])[: draw.integers(1, 5)]) for _ in range(count)]


def separators(leads: Leads) -> dict[str, str]:
    return leads.schema.separators


def test_order_case_blanks_and_repetition_do_not_make_another_cell(tmp_path: Path) -> None:
    cells = several()
    plain = load(write(tmp_path, [*cells, "Webinar;Demo request"]))
    assert separators(plain) == {"interests": ";"}
    other = load(write(tmp_path, [*cells, ";demo REQUEST ;Webinar; webinar;;"]))
    assert other.frame["interests"].iloc[-1] == plain.frame["interests"].iloc[-1] == "Demo request;Webinar"
    assert load(write(tmp_path, [*cells, "; ;"])).frame["interests"].iloc[-1] == ""
    assert any("interests" in note and "';'" in note for note in plain.notes)


def test_nearly_unique_combinations_are_choices_and_no_identifier(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    cells = [";".join(sorted(draw.permutation(WORDS)[: draw.choice([2, 3, 9, 10])])) for _ in range(700)] + WORDS
    assert len(set(cells)) > 0.8 * len(cells)
    assert separators(load(write(tmp_path, cells))) == {"interests": ";"}
    single = write(tmp_path, [f"{cell}{i}" for i, cell in enumerate(cells)])
    assert "interests" not in load(single).frame


def test_the_lead_source_decides_and_a_served_schema_binds(tmp_path: Path) -> None:
    cells = several()
    plain = load(write(tmp_path, cells, separators={"interests": ""}))
    assert separators(plain) == {}
    assert separators(load(write(tmp_path, cells[:15], separators={"interests": ";"}))) == {"interests": ";"}
    served = load(write(tmp_path, cells)).schema
    assert separators(load(write(tmp_path, ["Webinar", "Demo request"] * 20), served)) == {"interests": ";"}
    assert separators(load(write(tmp_path, cells), plain.schema)) == {}
    with pytest.raises(SourceError, match="contradicts the served schema"):
        load(write(tmp_path, cells, separators={"interests": "|"}), served)
    with pytest.raises(ValueError, match="separators"):
        write(tmp_path, cells, separators={"interests": ";"}, kinds={"interests": "number"})
