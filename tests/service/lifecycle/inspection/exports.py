"""Writes small exports of leads, such as a CRM gives."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from service.lifecycle.inspection.survey import Stated, Survey, look_at

ROWS = 300


def export(
    folder: Path,
    outcomes: Sequence[str] = ("Closed Won", "Closed Lost", "Closed Lost"),
    more: dict[str, Callable[[int, str], object]] | None = None,
    rows: int = ROWS,
    name: str = "leads.csv",
    outcome: str = "Stage",
) -> Path:
    """A file of leads whose outcomes repeat those given; a further column's cell is made of row and outcome."""
    draw = np.random.default_rng(1)
    header = ["Lead ID", "Created", "Size", "Source", *(more or {}), outcome]
    file = folder / name
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        writer.writerow(header)
        for row in range(rows):
            won = outcomes[row % len(outcomes)]
            size, source = int(draw.integers(1, 400)), draw.choice(["Web", "Fair", "Phone"])
            others = [make(row, won) for make in (more or {}).values()]
            day = f"{2024 + row // 336}-{row // 28 % 12 + 1:02}-{row % 28 + 1:02}"
            writer.writerow([f"L-{row:05}", day, size, source, *others, won])
    return file


def surveyed(folder: Path, *outcomes: str, stated: Stated | None = None, **more: object) -> Survey:
    """What is found in such a file."""
    file = export(folder, outcomes or ("Closed Won", "Closed Lost", "Closed Lost"), **more)  # type: ignore[arg-type]
    return look_at(file, stated or Stated())
