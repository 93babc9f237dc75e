import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "infra" / "google-cloud.md").read_text()


def test_each_row_says_what_happens_what_is_done_and_what_finds_it() -> None:
    rows = [row.strip("|").split(" | ") for row in re.findall(r"^\| (?!what happens|---).*$", TABLE, re.M)]
    assert len(rows) > 20
    assert [row for row in rows if len(row) != 3 or not all(cell.strip() for cell in row)] == []


def test_every_check_that_is_named_exists() -> None:
    def exists(file: Path, name: str) -> bool:
        return file.exists() and f"\ndef {name}(" in file.read_text()

    named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", TABLE)
    assert len(named) > 20
    assert [name for file, name in named if not exists(ROOT / "tests" / file, name)] == []
