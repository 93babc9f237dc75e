"""The prediction record: what the service writes for every lead that it scored, and what the jobs read."""

import gzip
import re
import zlib
from datetime import datetime
from typing import Generic, Literal, TypeVar

import msgspec
from isal import igzip

from service.model.schema import Value

PREFIX = "predictions/"
RECORD_VERSION = 2
"""Version 1 has neither source nor anything after `latency_ms`; readers take both."""
PAGE = "page-"
"""How the ids of trials on the service's page begin."""
PROBE = "probe-"
"""How the ids of the job `probe` begin."""
TRIALS = (PAGE, "smoke-", PROBE)
"""How ids begin of leads that are in no CRM: typed into the service's page, a deploy's first request, a probe's."""

Channel = Literal["api", "batch", "trial"]
Role = Literal["champion", "shadow"]
Inputs = TypeVar("Inputs")


def _current() -> int:
    return RECORD_VERSION


class PredictionRecord(msgspec.Struct, Generic[Inputs], frozen=True, gc=False, omit_defaults=True):
    """One scored lead. `inputs` are the features as received (missing ones left out), `latency_ms` the server's share.

    `source` is the lead source of the model, `line` the least score that was to be contacted, `role` that of the model
    in the answer. `policy` and `probability` say by what rule, and with what probability, the lead was chosen for
    contact; they are null where no rule draws. What is null is left out of the line.
    Generic because the service writes the decoded features as they are, and readers get a plain dict.
    """

    request_id: str
    lead_id: str
    time: datetime
    model_version: str
    inputs: Inputs
    score: float
    decision: str
    band: str
    latency_ms: float
    source: str | None = None
    channel: Channel | None = None
    line: float | None = None
    role: Role | None = None
    policy: str | None = None
    probability: float | None = None
    record_version: int = msgspec.field(default_factory=_current)  # a plain default would be left out of the line

    @property
    def is_trial(self) -> bool:
        """Whether the lead is in no CRM."""
        return self.channel == "trial" or self.lead_id.startswith(TRIALS)


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(PredictionRecord[dict[str, Value]])


class RecordError(ValueError):
    """A line that is no prediction record; the message names object, line and field.

    `line` counts from 1 and is 0 for the whole object; `text` is what stands there.
    """

    def __init__(self, name: str, line: int, reason: str, text: str = "") -> None:
        super().__init__(f"{name}{f', line {line}' if line else ''}: {reason}")
        self.line, self.reason, self.text = line, reason, text


def to_lines(records: list[PredictionRecord[Inputs]]) -> bytes:
    """JSON lines, each ended by a newline. Of a list: msgspec 0.22 never lets go of any other iterable."""
    return _ENCODER.encode_lines(records)


def to_object(lines: bytes) -> bytes:
    """The bytes of an object; the same lines give the same bytes, so that a repeated upload can be recognized."""
    # A seventh of the processor time of zlib's fastest, which scoring needs, for as many bytes.
    return igzip.compress(lines, compresslevel=1, mtime=0)


def object_key(segment: str) -> str:
    """Where a segment's object stands: `predictions/dt=2026-11-23/hh=09/<segment>.jsonl.gz`.

    A segment's name starts with its time in UTC, `20261123T091502Z-`. Raises ValueError where it does not.
    """
    match = re.match(r"(\d{4})(\d\d)(\d\d)T(\d\d)\d{4}Z-", segment)
    if match is None:
        raise ValueError(f"segment {segment!r} does not start with a time such as 20261123T091502Z-")
    year, month, day, hour = match.groups()
    return f"{PREFIX}dt={year}-{month}-{day}/hh={hour}/{segment}.jsonl.gz"


def read_object(data: bytes, name: str = "object") -> list[PredictionRecord[dict[str, Value]]]:
    """The records of one object. Raises RecordError."""
    whole, broken = sift_object(data, name)
    for error in broken:
        raise error
    return whole


def sift_object(data: bytes, name: str) -> tuple[list[PredictionRecord[dict[str, Value]]], list[RecordError]]:
    """The records of one object, and what in it is none."""
    try:
        lines = gzip.decompress(data).split(b"\n")
    except (OSError, EOFError, zlib.error) as error:
        return [], [RecordError(name, 0, f"not a whole gzip file ({error})")]
    records, broken = [], []
    for number, line in enumerate(lines, 1):
        if not line and number == len(lines):
            continue  # after the last newline
        try:
            record = _DECODER.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            broken.append(RecordError(name, number, str(error), line.decode(errors="replace")))
            continue
        if record.record_version > RECORD_VERSION:
            reason = f"record version {record.record_version} is newer than this code"
            broken.append(RecordError(name, number, reason, line.decode()))
        else:
            records.append(record)
    return records, broken
