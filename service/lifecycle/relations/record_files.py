"""stub"""

import re
from typing import NamedTuple
from datetime import timedelta, UTC
import pandas as pd

FIRST = "records/first/"


class RecordFiles(NamedTuple):
    tables: tuple
    raw: tuple


def record_files(predictions, since, until):
    first, last = since.astimezone(UTC) - timedelta(hours=1), until.astimezone(UTC)
    bounds = f"{first:%Y-%m-%dT%H}", f"{last:%Y-%m-%dT%H}"
    raw = []
    tables = []
    for day in pd.date_range(first.date(), last.date(), freq="D"):
        for key in predictions.keys(f"predictions/dt={day:%Y-%m-%d}/"):
            hour = re.search(r"dt=(\S+)/hh=(\d\d)/", key)
            if hour and bounds[0] <= f"{hour[1]}T{hour[2]}" <= bounds[1]:
                raw.append(key)
        tables += [k for k in predictions.keys(f"records/day={day:%Y-%m-%d}/")]
    return RecordFiles(tuple(tables), tuple(raw))
