"""A table of leads in any spelling is read as it was meant, or refused; never as anything else."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from service.lifecycle.data.leads import load
from service.lifecycle.data.source import Source, SourceError
from service.model.bundle import Economics
from tests.facts import states
from tests.service.lifecycle.data.spellings import frame, written


def meant(leads: pd.DataFrame, keys: dict[str, Any]) -> npt.NDArray[np.bool_]:
    """Which of the leads have an outcome by these keys."""
    if days := keys.get("absent_after_days"):
        return np.asarray(leads["created"] <= leads["created"].max() - pd.Timedelta(days=days))
    return np.asarray(leads["won"] != "open")


def differences(path: Path, seed: int) -> str:
    """Write and read one table; "" where it is the same, else the refusal. Fails where another is read.

    A table whose outcomes are not told must be refused with the keys that decide, which counts as the same.
    """
    draw = np.random.default_rng(seed)
    leads = frame(draw, int(draw.integers(40, 160)))
    file = written(leads, draw)
    path.write_bytes(file.data)
    source = Source(
        name="spelled",
        path=str(path),
        id_column="id",
        time_column="created",
        target_column="won",
        metric="profit",
        metric_reason="r",
        agreed_by="a",
        agreed_on="2025-01-01",
        economics=Economics(conversion_value=10, contact_cost=1),
        **file.keys,
    )
    try:
        read = load(source)
    except SourceError as error:
        if not file.told:
            states(str(error), "column 'won'", "negative", "absent_after_days")
        return str(error) if file.told else ""
    assert file.told, seed
    leads = leads[meant(leads, file.keys)]
    assert read.ids is not None
    assert read.times is not None
    assert read.ids.tolist() == leads["id"].tolist(), seed
    assert read.times.tz_localize(None).tolist() == leads["created"].tolist(), seed
    assert read.target.tolist() == (leads["won"] == "won").astype(int).tolist(), seed
    cells = read.frame.rename(columns=str.lower)
    np.testing.assert_array_equal(cells["amount"], leads["amount"], str(seed))
    np.testing.assert_array_equal(cells["visits"], leads["visits"], str(seed))
    answers = leads["answer"].map({"yes": 1.0, "no": 0.0}).to_numpy(dtype=float)
    np.testing.assert_array_equal(cells["answer"], answers, str(seed))
    cities = cells["city"].str.casefold().tolist()
    assert cities == leads["city"].fillna("").str.casefold().tolist(), seed
    return ""


@pytest.mark.parametrize("files", [50, pytest.param(2000, marks=pytest.mark.nightly)])
def test_a_table_in_any_spelling_is_read_as_it_was_meant_or_refused(tmp_path: Path, files: int) -> None:
    outcomes = Counter(differences(tmp_path / "leads", seed) for seed in range(files))
    refused = files - outcomes[""]
    assert refused < 0.1 * files, outcomes.most_common(5)
