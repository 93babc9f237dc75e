import gzip
import json
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.records import RECORD_VERSION, PredictionRecord, RecordError, object_key, read_object, to_lines, to_object
from tests.facts import stating

values = st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=50)
made = st.builds(
    PredictionRecord[dict[str, float | bool | str | None]],
    request_id=st.text(max_size=20),
    lead_id=st.text(min_size=1, max_size=20),
    time=st.datetimes(timezones=st.just(UTC)),
    model_version=st.text(max_size=20),
    inputs=st.dictionaries(st.text(max_size=10), values, max_size=5),
    score=st.floats(0, 1),
    decision=st.sampled_from(["contact", "skip"]),
    band=st.sampled_from("ABCD"),
    latency_ms=st.floats(0, 1e6),
    source=st.none() | st.just("crm"),
    channel=st.sampled_from([None, "api", "batch", "trial"]),
    line=st.none() | st.floats(0, 1),
    role=st.sampled_from([None, "champion", "shadow"]),
    policy=st.none() | st.just("explore"),
    probability=st.none() | st.floats(0, 1),
)


@given(st.lists(made, max_size=5))
def test_records_read_back_as_they_were_written(
    records: list[PredictionRecord[dict[str, float | bool | str | None]]],
) -> None:
    assert read_object(to_object(to_lines(records))) == records


def test_the_same_lines_give_the_same_object() -> None:
    assert to_object(b"{}\n") == to_object(b"{}\n")


def test_an_object_that_was_cut_short_is_refused_by_name() -> None:
    whole = to_object(to_lines([_record()] * 100))
    with pytest.raises(RecordError, match=stating("part.gz", "gzip")):
        read_object(whole[:-20], "part.gz")


def test_a_line_that_is_no_record_is_named() -> None:
    lines = to_lines([_record()]) + b'{"score": "high"}\n'
    with pytest.raises(RecordError, match="object, line 2"):
        read_object(gzip.compress(lines))


def test_a_record_of_a_later_version_is_refused() -> None:
    record = json.loads(to_lines([_record()])) | {"record_version": RECORD_VERSION + 1}
    with pytest.raises(RecordError, match=f"version {RECORD_VERSION + 1} is newer"):
        read_object(gzip.compress(json.dumps(record).encode()))


def test_a_line_always_says_its_version() -> None:
    assert json.loads(to_lines([_record()]))["record_version"] == RECORD_VERSION


def test_a_record_of_version_1_is_read_with_nothing_in_what_it_does_not_have() -> None:
    line = (
        b'{"request_id":"r","lead_id":"page-1","time":"2026-11-23T00:00:00Z","model_version":"v","inputs":{"age":41.0},'
        b'"score":0.5,"decision":"contact","band":"A","latency_ms":0.1,"record_version":1}'
    )
    (record,) = read_object(gzip.compress(line))
    assert record.record_version == 1
    assert (record.source, record.channel, record.line, record.role) == (None, None, None, None)
    assert (record.policy, record.probability) == (None, None)
    assert record.is_trial


def test_a_trial_is_one_by_its_channel_or_its_id() -> None:
    assert not _record().is_trial
    assert msgspec.structs.replace(_record(), channel="trial").is_trial
    assert msgspec.structs.replace(_record(), lead_id="smoke-1", channel="api").is_trial


def test_an_object_stands_under_its_day_and_hour() -> None:
    key = object_key("20261123T091502Z-abc-000001")
    assert key == "predictions/dt=2026-11-23/hh=09/20261123T091502Z-abc-000001.jsonl.gz"
    with pytest.raises(ValueError, match=stating("not start", "time")):
        object_key("abc")


def _record() -> PredictionRecord[dict[str, float | bool | str | None]]:
    return PredictionRecord(
        request_id="r",
        lead_id="l",
        time=datetime(2026, 11, 23, tzinfo=UTC),
        model_version="v",
        inputs={"age": 41.0},
        score=0.5,
        decision="contact",
        band="A",
        latency_ms=0.1,
    )
