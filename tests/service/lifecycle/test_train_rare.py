"""Two people are planted in a source. Nothing that a training leaves behind holds a value that is theirs alone."""

import csv
from pathlib import Path

import numpy as np
import pytest

from service.lifecycle.forget import main as forget
from service.lifecycle.train import main as train
from tests.service.api.server import Server
from tests.service.lifecycle.training.searching import Secret, found, found_below
from tests.service.lifecycle.world import DECIDED

SOURCE = f"""
name = "planted"
path = "crm.csv"
target_column = "won"
positive = "yes"
id_column = "lead_id"
time_column = "created_at"
{DECIDED}[kinds]
name = "category"
postal_code = "category"
[recipe]
candidate = "{{candidate}}"
"""
ROWS = 601
FIRST, LAST = (
    {
        "lead_id": "QX-7741-ZED",
        "created_at": "2025-01-01T03:14:15.926",
        "name": "Zwentibold Quästenberg",
        "title": "Vizeoberkrypton",
        "employer": "Zwirbelmann Präzision",
        "postal_code": "ZQ4 9XJ",
        "size": "7421-Kappa",
        "salary": 83417.53,
        "income": 51234.5671,
        "ticket": 70210011,
    },
    {
        "lead_id": "QX-7742-YAK",
        "created_at": "2026-09-27T13:37:21.123",
        "name": "Xanthippe Ötzmüller",
        "title": "Unterquarkmeisterin",
        "employer": "ZWIRBELMANN  präzision",
        "postal_code": "ZQ5 8WK",
        "size": "9934-Omikron",
        "salary": 67891.23,
        "income": 47613.2089,
        "ticket": 70210612,
    },
)


def leads(people: bool) -> list[dict[str, object]]:
    """A CRM's export: shared and rare texts, salaries in steps, incomes of everyone's own, with the people or without.

    The first person is among the leads that are trained on, the last among those held out. In the middle of the incomes
    is the first person's.
    """
    draw, rows = np.random.default_rng(0), []
    for i in range(1, ROWS):
        salary = float(draw.integers(10, 40) * 2_500)
        title = f"chief of matter {i}" if i % 2 else str(draw.choice(["director", "clerk", "manager"]))
        margin = (salary - 62_500) / 15_000 + (title == "director")
        rows.append(
            {
                "lead_id": f"L-{i:05d}",
                "created_at": f"2025-{1 + i // 60:02d}-{1 + i % 28:02d}T{i % 24:02d}:00:00",
                "name": f"Person {i}",
                "title": title,
                "employer": str(draw.choice(["Acme", "Globex", "Initech"])),
                "postal_code": str(draw.choice(["N1 1AA", "E2 2BB", "S3 3CC"])),
                "size": str(draw.choice(["small", "large", "100", "250"])),
                "salary": salary,
                "income": round(float(51_234.5671 + (1 if i % 2 else -1) * (1 + draw.exponential(9_000))), 4),
                "ticket": 70210011 + i,
                "won": "yes" if draw.random() < 1 / (1 + np.exp(1 - margin)) else "no",
            }
        )
    return [{**FIRST, "won": "yes"}, *rows, {**LAST, "won": "no"}] if people else rows


def write(folder: Path, people: bool, candidate: str) -> Path:
    """The export and its lead source; returns the latter."""
    rows = leads(people)
    with (folder / "crm.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    source = folder / "source.toml"
    source.write_text(SOURCE.format(candidate=candidate))
    return source


def secrets() -> list[Secret]:
    """What is theirs alone: their values, and the middles between their numbers and the next ones."""
    alone: list[Secret] = [str(person[key]) for person in (FIRST, LAST) for key in person if key not in ("salary",)]
    alone += [FIRST["created_at"].replace("T", " "), LAST["created_at"].replace("T", " ")]  # type: ignore[attr-defined]
    for key in ("salary", "income"):
        every = np.unique([float(str(row[key])) for row in leads(people=True)])
        for person in (FIRST, LAST):
            number = float(str(person[key]))
            place = int(np.searchsorted(every, number))
            alone += [number, *(float((number + every[near]) / 2) for near in (place - 1, place + 1))]
    return alone


@pytest.mark.slow
def test_nothing_that_training_leaves_behind_holds_a_persons_values_before_or_after_forget(
    mlflow_url: str, mlflow_home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, kept = tmp_path / "source", tmp_path / "kept"
    models, outcomes = kept / "models", kept / "leads" / "outcomes"
    source.mkdir()
    outcomes.mkdir(parents=True)
    (outcomes / "today.csv").write_text(f"lead_id,won\nL-00001,no\n{FIRST['lead_id']},yes\n")
    command = ["--models", str(models), "--tracking", mlflow_url, "--publish-anyway", "a test"]
    assert list(found(secrets(), (write(source, True, "gradient_boosting").parent / "crm.csv").read_bytes(), "crm.csv"))
    assert train(["--source", str(source / "source.toml"), *command]) == 0
    printed = "".join(capfd.readouterr())
    server = Server(tmp_path, models=str(models))
    try:
        shown = {path: server.http.get(path).content for path in ("/", "/openapi.json", "/v1/model", "/metrics")}
    finally:
        server.stop()
    assert all(b"director" in shown[path] for path in ("/", "/openapi.json"))
    hits = [hit for path, data in shown.items() for hit in found(secrets(), data, path)]
    assert (
        hits + found_below(secrets(), models, mlflow_home) + list(found(secrets(), printed.encode(), "printed")) == []
    )
    # The search sees what is there: shared texts, and thresholds between two shared salaries.
    thresholds: list[Secret] = [step * 2_500 + 1_250.0 for step in range(10, 40)]
    held = found_below(["director", *thresholds], models, mlflow_home)
    for file in ("golden.json", "model.onnx", ".skops", "bundle.json", "reference.json"):
        assert any(f"{file} holds" in hit for hit in held), file

    places = ["--leads", str(kept / "leads"), "--predictions", str(kept / "predictions")]
    assert forget(["--lead-id", str(FIRST["lead_id"]), "--lead-id", str(LAST["lead_id"]), *places]) == 0
    assert train(["--source", str(write(source, False, "logistic_regression")), *command]) == 0
    assert found_below(secrets(), kept, mlflow_home) == []
