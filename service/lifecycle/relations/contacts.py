"""Which leads were contacted, and when."""

import pyarrow as pa

from service.lifecycle.relations.relation import Relation

CONTACT_ROWS = pa.schema(
    [
        ("lead_key", pa.string()),
        ("time", pa.timestamp("us", "UTC")),
        ("channel", pa.string()),
        ("owner", pa.string()),
        ("file_number", pa.int32()),
        ("row", pa.int64()),
    ]
)
"""The table `contact_rows`: the rows of all files. `time`, `channel` and `owner` are null where a row has none."""

CONTACTS = Relation(
    "contacts",
    """
    select contact_rows.lead_key, coalesce(
        min(case when contact_rows.time >= first_scores.time - interval 1 day then contact_rows.time end),
        min(contact_rows.time)
    ) as time
    from contact_rows left join first_scores on contact_rows.lead_key = first_scores.lead_key
    group by contact_rows.lead_key
    """,
)
"""`contacts(lead_key, time)`, of `contact_rows` and `first_scores`: all leads that were ever contacted, once.

`time` is that of the first contact after the lead's first score, else of its first contact; null where no row has one.
A contact up to a day before the score counts as after it, for a time in a file may be a date.
"""
