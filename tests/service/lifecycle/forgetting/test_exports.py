"""Trials on the page are found again in exports, however these are written."""

import gzip
import io
import os
from pathlib import Path

import pytest

from service.lifecycle.data.leads import load
from service.lifecycle.data.source import load_source
from service.lifecycle.forgetting.erasure import without
from service.lifecycle.forgetting.search import Search
from service.lifecycle.forgetting.trials import Trials
from service.lifecycle.training.golden import as_received
from service.storage import Opened

EXPORTS = os.environ.get("LEAD_EXPORTS")
FILES = ("us_thousands", "de_decimal_comma_thousands", "percent", "bool_ja", "utf16le_tab", "formula_ids")


@pytest.mark.skipif(not EXPORTS, reason="LEAD_EXPORTS names no folder with exports")
@pytest.mark.parametrize("name", FILES)
def test_exactly_the_leads_own_trials_are_found_by_what_an_export_holds(name: str) -> None:
    folder = Path(str(EXPORTS))
    source = load_source(folder / f"{name}.toml").model_copy(update={"path": str(folder / f"{name}.csv.gz")})
    leads = load(source)
    assert leads.ids is not None
    places = [3, 700, 1200]
    wanted = frozenset(str(leads.ids[place]) for place in places)
    data = gzip.decompress((folder / f"{name}.csv.gz").read_bytes())
    search = Search(wanted, (source.lead_id,), source.delimiter, source.encoding, Trials())
    opened = Opened(io.BytesIO(data), len(data), "")  # type: ignore[arg-type]
    assert without(name, opened, None, search).gone == 3
    assert search.trials is not None
    sent = [as_received(leads.schema, row) for row in leads.frame.to_dict("records")]
    tried = [{"model_version": "v", "inputs": {k: v for k, v in row.items() if v is not None}} for row in sent]
    for trial in tried:
        search.trials.see(trial)
    search.trials.learning = False
    assert [place for place, trial in enumerate(tried) if search.trials.matches(trial)] == places
