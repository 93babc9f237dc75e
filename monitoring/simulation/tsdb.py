"""A throw-away Prometheus that answers for series made up here.

Series go in by remote write, which was the quickest of the ways tried (backfilling from OpenMetrics text reads the
text once for each block; promtool's tests evaluate a month of rules step by step). The protobuf is written by numpy:
every sample is 18 bytes. https://prometheus.io/docs/specs/prw/remote_write_spec/
"""

import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

POINTS = 11_000  # that Prometheus answers at most for one series
STARTS_WITHIN, ANSWERS_WITHIN = 60, 300  # seconds
BATCH = 32_000_000  # bytes of one write

_SAMPLE = np.dtype([("sample", "u1", 2), ("value", "u1"), ("double", "<f8"), ("time", "u1"), ("varint", "u1", 6)])


@dataclass(frozen=True, slots=True)
class Samples:
    """One series: seconds since 1970, ascending, and a value at each."""

    name: str
    labels: Mapping[str, str]
    times: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tsdb:
    """A running Prometheus."""

    url: str

    def write(self, series: Iterable[Samples]) -> None:
        """Store them. Raises urllib.error.HTTPError when Prometheus refuses."""
        body: list[bytes] = []
        for each in series:
            body.append(_series(each))
            if sum(map(len, body)) > BATCH:
                self._send(b"".join(body))
                body = []
        self._send(b"".join(body))

    def _send(self, message: bytes) -> None:
        # Snappy's format with one literal: the length, the literal's tag and length, then the bytes as they are.
        packed = _varint(len(message)) + b"\xfc" + (len(message) - 1).to_bytes(4, "little") + message
        request = urllib.request.Request(f"{self.url}/api/v1/write", data=packed)  # noqa: S310
        urllib.request.urlopen(request, timeout=ANSWERS_WITHIN).close()  # noqa: S310

    def true(self, expr: str, times: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
        """At which of the times (seconds, evenly spaced) the expression has a sample, by label set."""
        step = int(times[1] - times[0])
        found: dict[str, NDArray[np.bool_]] = {}
        for first in range(0, len(times), POINTS):
            part = times[first : first + POINTS]
            for answer in self._query(expr, int(part[0]), int(part[-1]), step):
                at = np.array([int(when) for when, _ in answer["values"]])
                labels = json.dumps(answer["metric"], sort_keys=True)
                found.setdefault(labels, np.zeros(len(times), bool))[(at - times[0]) // step] = True
        return found

    def values(self, expr: str, times: NDArray[np.int64]) -> list[tuple[dict[str, str], NDArray[np.float64]]]:
        """The labels of each series that the expression gives, and its values at the times; NaN where it has none."""
        step = int(times[1] - times[0])
        found: dict[str, NDArray[np.float64]] = {}
        for first in range(0, len(times), POINTS):
            part = times[first : first + POINTS]
            for answer in self._query(expr, int(part[0]), int(part[-1]), step):
                labels = json.dumps(answer["metric"], sort_keys=True)
                series = found.setdefault(labels, np.full(len(times), np.nan))
                for when, value in answer["values"]:
                    series[(int(when) - times[0]) // step] = float(value)
        return [(json.loads(labels), values) for labels, values in sorted(found.items())]

    def _query(self, expr: str, start: int, end: int, step: int) -> list[dict[str, list[tuple[float, str]]]]:
        form = urllib.parse.urlencode({"query": expr, "start": start, "end": end, "step": step}).encode()
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/query_range", form, timeout=ANSWERS_WITHIN) as answer:  # noqa: S310
                return json.load(answer)["data"]["result"]  # type: ignore[no-any-return]
        except urllib.error.HTTPError as refused:
            raise ValueError(f"Prometheus refuses {expr!r}: {refused.read().decode()}") from refused


def _series(samples: Samples) -> bytes:
    """A TimeSeries of the remote write protocol, as a field of the request."""
    labels = sorted({**samples.labels, "__name__": samples.name}.items())
    head = b"".join(_field(1, _field(1, key.encode()) + _field(2, value.encode())) for key, value in labels)
    packed = np.zeros(len(samples.times), _SAMPLE)
    packed["sample"] = 0x12, _SAMPLE.itemsize - 2
    packed["value"], packed["double"], packed["time"] = 0x09, samples.values, 0x10
    shifts = np.arange(6) * 7
    # Milliseconds of this century take six groups of seven bits; all but the last say that more follow.
    packed["varint"] = (samples.times[:, None] * 1000 >> shifts & 0x7F) | np.where(shifts < 35, 0x80, 0)
    return _field(1, head + packed.tobytes())


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    groups = []
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def find() -> str:
    """The program. Raises FileNotFoundError where there is none."""
    if not (prometheus := shutil.which("prometheus")):
        raise FileNotFoundError("no prometheus on PATH: scripts/install-system installs it (Debian package prometheus)")
    return prometheus


@contextmanager
def running() -> Iterator[Tsdb]:
    """An empty Prometheus on a port of its own; its data are deleted at the end."""
    program = find()
    with tempfile.TemporaryDirectory(prefix="alert-replay-") as folder:
        Path(folder, "prometheus.yml").write_text("{}")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{probe.getsockname()[1]}"
        with Path(folder, "log").open("wb") as log:
            process = subprocess.Popen(
                [
                    program,
                    f"--config.file={folder}/prometheus.yml",
                    f"--storage.tsdb.path={folder}/data",
                    f"--web.listen-address={address}",
                    "--web.enable-remote-write-receiver",
                    # All stays in memory: nothing is compacted meanwhile, and series may come one after the other.
                    "--storage.tsdb.min-block-duration=100d",
                    "--storage.tsdb.max-block-duration=100d",
                    "--storage.tsdb.retention.time=10000d",
                    "--query.max-samples=1000000000",
                    "--query.timeout=5m",
                    "--log.level=warn",
                ],
                stdout=log,
                stderr=log,
            )
        try:
            _wait(f"http://{address}/-/ready", process, Path(folder, "log"))
            yield Tsdb(f"http://{address}")
        finally:
            process.kill()  # what it holds is thrown away
            process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=1).close()  # noqa: S310
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"prometheus did not start within {STARTS_WITHIN} s:\n{log.read_text()}")
