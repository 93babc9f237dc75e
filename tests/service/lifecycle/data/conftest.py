from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from service.lifecycle.data.leads import Leads, load
from service.model.schema import LeadSchema
from tests.service.lifecycle.data.crm import WON, Loads, source


@pytest.fixture
def loads(tmp_path: Path) -> Loads:
    """Loads a table of these columns, written as CSV (or Parquet), as a source with these keys."""

    def loaded(columns: dict[str, Any], schema: LeadSchema | None = None, file: str = "csv", **keys: Any) -> Leads:
        frame = pd.DataFrame({"won": WON[: len(next(iter(columns.values())))]} | columns)
        path = tmp_path / f"leads.{file}"
        if file == "csv":
            path.write_text(frame.to_csv(index=False))
        else:
            parquet.write_table(pa.Table.from_pandas(frame), path)
        return load(source(path, **keys), schema)

    return loaded
