import io

import pyarrow as pa
import pytest
from pyarrow import parquet

from service.lifecycle.forgetting.parquet_rows import without_parquet_rows
from service.lifecycle.forgetting.search import Search, Tally
from service.reading.ids import as_id


@pytest.mark.parametrize(
    "written",
    ["A  1", "A\u200b1", "A\u00a01", "Mu\u0308ller", "'=A1", '="A 1"', " A1 ", "1007.00", "003D000000QwErTIAV"],
)
def test_an_id_is_found_however_training_would_read_it(written: str) -> None:
    file = io.BytesIO()
    parquet.write_table(pa.table({"Lead_ID ": [written, "other"]}), file)
    found = without_parquet_rows("leads.parquet", file, None, Search(frozenset({as_id(written)})))
    assert found == Tally(rows=1, gone=1)
