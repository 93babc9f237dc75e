"""The page on which people decide: all six metrics, within 80 columns, and the lines to write once they agree."""

import io
import re
import tomllib
from pathlib import Path

import pytest
from rich.console import Console

from service.lifecycle.data.source import SourceError, load_source
from service.lifecycle.inspection.decision import NAMES, show
from tests.facts import states, stating

EXAMPLES = Path(__file__).parents[4] / "service" / "examples"
LINES = ["metric =", "metric_reason =", "agreed_by =", "agreed_on ="]


@pytest.fixture(scope="module")
def toml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample on few leads, without what people have to write."""
    file = tmp_path_factory.mktemp("decision") / "small.toml"
    text = (EXAMPLES / "sample.toml").read_text().replace("rows = 20_000", "rows = 700")
    text = text.replace("= 600.0", "= 12_345.25").replace("= 60.0", "= 1_234.5")
    file.write_text(re.sub(r"(?m)^metric.*\n", "", text))
    return file


@pytest.fixture(scope="module")
def page(toml: Path) -> str:
    out = io.StringIO()
    show(load_source(toml), Console(file=out, width=80), toml.with_suffix(".html"))
    return out.getvalue()


def test_the_page_fits_80_columns_and_names_each_metric_with_its_candidate(page: str) -> None:
    assert [line for line in page.splitlines() if len(line) > 80] == []
    for name in NAMES.values():
        assert re.search(rf"(?m)^ {name}, .*\n (logistic|spline|gradient)\b", page)
    states(" ".join(page.split()), "missed", "wasted", "95 % interval", "400 of 1,000 leads", "0.1000")
    states(" ".join(page.split()), "1,234.5 / 12,345.25", "conversion costs 11,110.75")


def test_it_ends_with_what_to_write_which_is_refused_while_it_is_empty(page: str, toml: Path, tmp_path: Path) -> None:
    last = page.splitlines()[-4:]
    assert [line.startswith(start) for line, start in zip(last, LINES, strict=True)] == [True] * 4
    assert list(tomllib.loads("\n".join(last))) == ["metric", "metric_reason", "agreed_by", "agreed_on"]
    written = tmp_path / "written.toml"
    written.write_text("\n".join(last) + "\n" + toml.read_text())
    with pytest.raises(SourceError, match=stating("metric:", "metric_reason:", "agreed_by:")):
        load_source(written)
    filled = [last[0].replace('""', '"f1"'), last[1].replace('""', '"why"'), last[2].replace('""', '"who"'), last[3]]
    written.write_text("\n".join(filled) + "\n" + toml.read_text())
    source = load_source(written)
    assert (source.metric, source.metric_reason, source.agreed_by) == ("f1", "why", "who")


def test_the_picture_s_page_holds_the_same_numbers_and_needs_no_network(page: str, toml: Path) -> None:
    html = toml.with_suffix(".html").read_text()
    assert "data:image/png;base64," in html
    assert re.findall(r"(?:src|href)=\"(?!data:)", html) == []
    profits = re.findall(r"(?m)^ [\w-]+, .* ([-\d,]+) $", page)
    assert len(profits) >= len(NAMES)
    assert [profit for profit in profits if f">{profit}<" not in html] == []
