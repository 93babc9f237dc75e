import gzip
import json
from pathlib import Path

import msgspec
import pytest

from service.lifecycle.data.quarantine import Rejected, set_aside
from service.storage import open_storage

BAD = Rejected(file="/leads/outcomes/march.csv", row=7, column="won", reason="no outcome", lead_id="L-1", content="x")


def kept(folder: Path) -> dict[str, list[dict[str, object]]]:
    return {
        path.relative_to(folder).as_posix(): [json.loads(line) for line in gzip.open(path)]
        for path in sorted(folder.rglob("*.jsonl.gz"))
    }


def test_a_rejected_row_is_kept_with_file_row_column_reason_lead_and_content(tmp_path: Path) -> None:
    (key,) = set_aside(open_storage(str(tmp_path)), "outcomes", [BAD])
    assert key.startswith("quarantine/outcomes/march.csv-")
    assert kept(tmp_path) == {key: [msgspec.to_builtins(BAD)]}
    assert str(BAD) == "/leads/outcomes/march.csv, row 7, won: no outcome"


@pytest.mark.parametrize("place", ["folder", "bucket"])
def test_the_same_rows_set_aside_twice_are_there_once(place: str, tmp_path: Path, gcs_url: str) -> None:
    leads = open_storage(str(tmp_path) if place == "folder" else gcs_url)
    first = set_aside(leads, "outcomes", [BAD])
    assert set_aside(leads, "outcomes", [BAD]) == first == list(leads.keys("quarantine/"))


def test_each_file_has_an_object_of_its_own_whatever_else_is_rejected(tmp_path: Path) -> None:
    leads = open_storage(str(tmp_path))
    other = msgspec.structs.replace(BAD, file="gs://b/april.csv", row=2)
    alone = set_aside(leads, "outcomes", [BAD])
    both = set_aside(leads, "outcomes", [other, BAD])
    assert both[1:] == alone
    assert len(list(leads.keys("quarantine/"))) == 2
    more = set_aside(leads, "outcomes", [BAD, msgspec.structs.replace(BAD, row=9)])
    assert more != alone
