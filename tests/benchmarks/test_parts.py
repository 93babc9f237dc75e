from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from service.storage import Folder
from tests.benchmarks import parts


def scores(folder: Path, name: str, block: int, first: int, count: int) -> None:
    places = [first + each for each in range(count)]
    table = {"lead_id": parts.ids(block, parts.BLOCK).slice(first, count), "score": pa.array(map(float, places))}
    parquet.write_table(pa.table(table), folder / name)


def test_rows_that_are_missing_doubled_or_another_s_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "BLOCK", 10)
    expected, out = pa.table({"score": [float(each) for each in range(10)]}), Folder(tmp_path)
    scores(tmp_path, "leads.part-1-of-2.parquet", block=0, first=0, count=10)
    scores(tmp_path, "leads.part-2-of-2.parquet", block=1, first=0, count=10)
    assert parts.exact(out, expected, 20) == 2
    with pytest.raises(SystemExit, match="20 rows are there of 30"):
        parts.exact(out, expected, 30)
    scores(tmp_path, "leads.part-2-of-2.parquet", block=1, first=1, count=9)
    with pytest.raises(SystemExit, match="part-2-of-2"):
        parts.exact(out, expected, 19)
    scores(tmp_path, "leads.part-2-of-2.parquet", block=0, first=0, count=10)
    with pytest.raises(SystemExit, match="part-2-of-2"):
        parts.exact(out, expected, 20)
