import numpy as np
import pandas as pd

from service.lifecycle.evaluation.segments import segments
from service.model.schema import Feature, LeadSchema

COUNT = 4_000
TARGET = (np.random.default_rng(7).random(COUNT) < 0.1).astype(np.int8)


def test_segments_are_the_values_that_many_leads_share_missing_ones_too() -> None:
    schema = LeadSchema(
        features=(
            Feature(name="region", kind="category"),
            Feature(name="trial", kind="boolean"),
            Feature(name="pages", kind="number"),
        )
    )
    part = np.arange(COUNT) % 20
    region = np.where(part == 0, "rare", np.where(part < 8, "north", ""))
    trial = np.where(part < 10, 1.0, np.where(part < 19, 0.0, np.nan))
    frame = pd.DataFrame({"region": region.astype(object), "trial": trial, "pages": np.ones(COUNT)})
    found = segments(schema, frame, TARGET, 0.1, 10)
    assert {name: int(mask.sum()) for name, mask in found.items()} == {
        "region missing": COUNT * 12 // 20,
        "region 'north'": COUNT * 7 // 20,
        "trial 1.0": COUNT // 2,
        "trial 0.0": COUNT * 9 // 20,
    }


def test_where_a_cell_holds_several_choices_each_is_a_segment() -> None:
    schema = LeadSchema(features=(Feature(name="interests", kind="category", separator=";"),))
    cells = np.array(["Call;Fair", "Call", "Fair", ""], dtype=object)[np.arange(COUNT) % 4]
    found = segments(schema, pd.DataFrame({"interests": cells}), TARGET, 0.1, 10)
    assert {name: int(mask.sum()) for name, mask in found.items()} == {
        "interests 'Call'": COUNT // 2,
        "interests 'Fair'": COUNT // 2,
        "interests missing": COUNT // 4,
    }
