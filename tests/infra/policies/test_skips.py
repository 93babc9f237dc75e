import datetime as dt
from pathlib import Path

import pytest

from infra.policies.skips import Skip, SkipError, read
from tests.facts import stating

TODAY = dt.date(2026, 5, 1)
GOOD = """\
[[skip]]
check = "CKV_GCP_62"
resource = "storage/google_storage_bucket.*"
reason = "Nobody may see these logs."
expires = 2026-12-31
"""


def read_all(folder: Path, text: str) -> list[Skip]:
    file = folder / "skips.toml"
    file.write_text(text)
    return read(file, today=TODAY)


def test_a_skip_is_about_one_check_on_the_resources_that_it_names(tmp_path: Path) -> None:
    (skip,) = read_all(tmp_path, GOOD)
    assert skip.covers("CKV_GCP_62", "storage/google_storage_bucket.models")
    assert not skip.covers("CKV_GCP_63", "storage/google_storage_bucket.models")
    assert not skip.covers("CKV_GCP_62", "network/google_storage_bucket.models")


@pytest.mark.parametrize(
    ("line", "instead", "facts"),
    [
        ('reason = "Nobody may see these logs."\n', "", ["missing", "'reason'"]),
        ('reason = "Nobody may see these logs."', 'reason = "false positive"', ["reason", "too little"]),
        ("expires = 2026-12-31\n", "", ["missing", "'expires'"]),
        ("expires = 2026-12-31", 'expires = "never"', ["expires", "within a year"]),
        ("expires = 2026-12-31", "expires = 2027-12-31", ["expires", "within a year"]),
        ("[[skip]]", '[[skip]]\nowner = "me"', ["unexpected", "'owner'"]),
    ],
)
def test_a_skip_without_reason_or_day_is_refused(line: str, instead: str, facts: list[str], tmp_path: Path) -> None:
    assert line in GOOD
    with pytest.raises(SkipError, match=stating(*facts)):
        read_all(tmp_path, GOOD.replace(line, instead))
