import io
import threading
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service import read_ahead
from service.read_ahead import Range, ReadAhead, Window, expect
from service.storage import StorageError

CONTENT = bytes(number * 7 % 251 for number in range(4_000))


class Afar:
    """A place that gives ranges and remembers which were asked for, and how many bytes it gave out at most at once."""

    def __init__(self, fails_from: int = len(CONTENT)) -> None:
        self.asked: list[Range] = []
        self.fails_from = fails_from
        self._lock = threading.Lock()

    def __call__(self, start: int, end: int) -> bytes:
        with self._lock:
            self.asked.append((start, end + 1))
        if end >= self.fails_from:
            raise StorageError("the bucket is away")
        return CONTENT[start : end + 1]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PIECE": 100, "AHEAD": 300, "KEPT": 300, "GAP": 10}.items():
        monkeypatch.setattr(read_ahead, name, value)


@pytest.fixture
def afar() -> Afar:
    return Afar()


@pytest.fixture
def file(afar: Afar) -> Iterator[ReadAhead]:
    with ReadAhead(afar, len(CONTENT)) as file:
        yield file


def test_what_nobody_announced_is_fetched_to_the_byte(afar: Afar, file: ReadAhead) -> None:
    file.seek(-8, io.SEEK_END)
    assert file.read(100) == CONTENT[-8:]
    file.seek(50)
    assert file.read(5) == CONTENT[50:55]
    assert file.read(5) == CONTENT[55:60]
    assert afar.asked == [(3992, 4000), (50, 55), (55, 60)]


def test_what_is_expected_is_fetched_once_in_large_pieces_whatever_the_reads(afar: Afar, file: ReadAhead) -> None:
    expect(file, [(0, len(CONTENT))])
    assert b"".join(iter(lambda: file.read(7), b"")) == CONTENT
    assert sorted(afar.asked) == [(start, start + 100) for start in range(0, 4_000, 100)]


def test_no_more_than_allowed_is_fetched_before_it_is_read(afar: Afar, file: ReadAhead) -> None:
    expect(file, [(0, len(CONTENT))])
    assert file.read(1) == CONTENT[:1]
    file._pool.shutdown(wait=True)  # type: ignore[union-attr]
    assert sorted(afar.asked) == [(0, 100), (100, 200), (200, 300), (300, 400)]


def test_columns_that_lie_together_share_a_request_and_those_between_are_left_out(afar: Afar, file: ReadAhead) -> None:
    columns = [(0, 20), (25, 40), (60, 90)]
    expect(file, columns)
    for start, stop in columns:
        file.seek(start)
        assert file.read(stop - start) == CONTENT[start:stop]
    assert sorted(afar.asked) == [(0, 40), (60, 90)]


def test_a_request_that_fails_is_an_error_of_the_read_that_needs_it(afar: Afar, file: ReadAhead) -> None:
    afar.fails_from = 250
    expect(file, [(0, 1_000)])
    assert file.read(200) == CONTENT[:200]
    for _ in range(2):
        with pytest.raises(StorageError, match="away"):
            file.read(1)


def test_what_is_read_again_is_fetched_again(file: ReadAhead) -> None:
    expect(file, [(0, 1_000)])
    for _ in range(2):
        file.seek(0)
        assert file.read(1_000) == CONTENT[:1_000]


def test_a_file_that_fetches_nothing_ahead_takes_no_notice() -> None:
    plain = io.BytesIO(b"abc")
    expect(plain, [(0, 3)])
    assert plain.read() == b"abc"


@settings(max_examples=80, deadline=None)
@given(
    cuts=st.lists(st.integers(0, len(CONTENT)), min_size=2, max_size=30, unique=True),
    reads=st.lists(st.tuples(st.integers(0, len(CONTENT)), st.integers(0, 500)), max_size=40),
    order=st.randoms(use_true_random=False),
)
def test_any_reads_give_the_file_s_bytes_within_the_bounds(
    cuts: list[int], reads: list[tuple[int, int]], order: Random
) -> None:
    ranges = list(zip(sorted(cuts)[::2], sorted(cuts)[1::2], strict=False))
    order.shuffle(ranges)
    with ReadAhead(Afar(), len(CONTENT)) as file:
        file.expect(ranges)
        for at, count in reads:
            file.seek(at)
            assert file.read(count) == CONTENT[at : at + count]
            held = [piece.stop - piece.start for piece in file._by_place if piece.data]
            assert sum(held) <= read_ahead.AHEAD + read_ahead.KEPT + read_ahead.PIECE


def test_a_window_is_a_file_of_its_own() -> None:
    file = io.BytesIO(bytes(range(100)))
    window = Window(file, 10, 20)  # type: ignore[arg-type]
    assert window.read(4) == bytes(range(10, 14))
    file.seek(0)
    assert window.read(100) == bytes(range(14, 20))
    assert (window.read(1), window.tell(), window.seek(-2, io.SEEK_END)) == (b"", 10, 8)
    window.close()
    assert not file.closed


def test_what_a_window_expects_is_fetched_from_its_place_in_the_file(afar: Afar, file: ReadAhead) -> None:
    window = Window(file, 1_000, 1_150)
    expect(window, [(0, 150)])
    assert b"".join(iter(lambda: window.read(7), b"")) == CONTENT[1_000:1_150]
    assert sorted(afar.asked) == [(1_000, 1_100), (1_100, 1_150)]
