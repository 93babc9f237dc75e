"""A seekable file over ranges that are fetched from afar, ahead of its reader where that says what it will read."""

import io
from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from typing import Any

PIECE = 8 << 20
"""Bytes of one request for what is read ahead, at most. At 30 ms a request and 100 MB/s, 8 MiB take 110 ms."""

AHEAD = 32 << 20
"""Bytes, at most, that are fetched or being fetched and of which nothing was read yet."""

KEPT = 64 << 20
"""Bytes, at most, of pieces of which a part was read: those that were not read for longest are given up beyond it."""

GAP = 1 << 20
"""Bytes that nobody asked for, at most, between two ranges that one request fetches: they cost less than a request."""

THREADS = 6
"""Requests at once. Google's client keeps up to 10 connections open, which is what `requests` keeps by default."""

Range = tuple[int, int]
"""A first byte, and the one after the last."""


class _Piece:
    """Bytes that one request fetches. `wanted` is how many of them are still to be read; `fetched`, if any were."""

    def __init__(self, start: int, stop: int, wanted: int) -> None:
        self.start, self.stop, self.wanted = start, stop, wanted
        self.data: Future[bytes] | None = None
        self.fetched = False


def pieces_of(ranges: Sequence[Range]) -> list[_Piece]:
    """The pieces that hold these ranges, in the same order. Neighbours that are read one after the other share one."""
    follows = dict(pairwise(sorted(ranges)))
    pieces: list[_Piece] = []
    before: Range | None = None
    for start, stop in ranges:
        last = pieces[-1] if pieces else None
        near = last and start - last.stop <= GAP and stop - last.start <= PIECE
        if last and near and before and follows.get(before) == (start, stop):
            last.stop, last.wanted = stop, last.wanted + stop - start
        else:
            pieces += (_Piece(at, min(at + PIECE, stop), min(PIECE, stop - at)) for at in range(start, stop, PIECE))
        before = start, stop
    return pieces


class ReadAhead(io.RawIOBase):
    """Each read is a request of its own for the very bytes, so that a look at a footer costs no more than that.

    After `expect` the expected ranges are fetched ahead, with THREADS requests at once, within AHEAD and KEPT bytes.
    For one reader at a time.
    """

    def __init__(self, fetch: Callable[[int, int], bytes], size: int) -> None:
        """`fetch` gives the bytes from its first argument to its second, that one included, or raises."""
        self._fetch, self._size, self._at = fetch, size, 0
        self._pool: ThreadPoolExecutor | None = None
        self._forget()

    def _forget(self) -> None:
        self._by_place: list[_Piece] = []
        self._starts: list[int] = []
        self._coming: deque[_Piece] = deque()
        self._untouched = 0
        self._touched: OrderedDict[int, _Piece] = OrderedDict()

    def expect(self, ranges: Sequence[Range]) -> None:
        """Fetch these ranges, which do not overlap, in this order from now on, and nothing that was expected before."""
        for piece in self._by_place:
            if piece.data:
                piece.data.cancel()
        self._forget()
        pieces = pieces_of(ranges)
        self._by_place = sorted(pieces, key=lambda piece: piece.start)
        self._starts = [piece.start for piece in self._by_place]
        self._coming = deque(pieces)
        self._schedule()

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """See io.IOBase."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        """See io.IOBase."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as the file goes. Raises what `fetch` raises."""
        count = min(len(buffer), max(0, self._size - self._at))
        done = 0
        while done < count:
            data = self._some(self._at + done, count - done)
            buffer[done : done + len(data)] = data
            done += len(data)
        self._at += count
        return count

    def close(self) -> None:
        """Give up what was fetched ahead; requests under way end by themselves."""
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
        self._forget()
        super().close()

    def _some(self, at: int, count: int) -> memoryview:
        """At least one and at most `count` bytes from here on."""
        place = bisect_right(self._starts, at)
        piece = self._by_place[place - 1] if place else None
        if piece is None or at >= piece.stop:
            until = self._starts[place] if place < len(self._starts) else self._size
            return memoryview(self._fetch(at, min(at + count, until) - 1))
        fetched = piece.data or self._start(piece)
        if piece.start not in self._touched:
            self._untouched -= piece.stop - piece.start
        self._touched[piece.start] = piece
        self._touched.move_to_end(piece.start)
        found = memoryview(fetched.result())[at - piece.start :][:count]
        piece.wanted -= len(found)
        self._give_up(piece)
        self._schedule()
        return found

    def _start(self, piece: _Piece) -> Future[bytes]:
        self._pool = self._pool or ThreadPoolExecutor(THREADS, "read-ahead")
        piece.data = self._pool.submit(self._fetch, piece.start, piece.stop - 1)
        piece.fetched = True
        piece.wanted = piece.wanted if piece.wanted > 0 else piece.stop - piece.start  # it is read once more
        self._untouched += piece.stop - piece.start
        return piece.data

    def _give_up(self, read: _Piece) -> None:
        """Let go of the piece where all of it was read, and of others beyond KEPT bytes."""
        if read.wanted <= 0:
            self._drop(read)
        while sum(piece.stop - piece.start for piece in self._touched.values()) > KEPT:
            self._drop(next(iter(self._touched.values())))

    def _drop(self, piece: _Piece) -> None:
        piece.data = None
        del self._touched[piece.start]

    def _schedule(self) -> None:
        while self._coming and self._untouched + self._coming[0].stop - self._coming[0].start <= AHEAD:
            piece = self._coming.popleft()
            if not piece.fetched:
                self._start(piece)


class Window(io.RawIOBase):
    """The bytes from `start` to `stop` of a seekable file, as a file of its own. Closing it leaves that one open."""

    def __init__(self, file: io.RawIOBase, start: int, stop: int) -> None:
        self._file, self._start, self._stop, self._at = file, start, stop, start

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """See io.IOBase."""
        self._at = offset + {io.SEEK_SET: self._start, io.SEEK_CUR: self._at, io.SEEK_END: self._stop}[whence]
        return self.tell()

    def tell(self) -> int:
        """See io.IOBase."""
        return self._at - self._start

    def expect(self, ranges: Sequence[Range]) -> None:
        """See ReadAhead."""
        expect(self._file, [(self._start + start, self._start + stop) for start, stop in ranges])

    def readinto(self, buffer: Any) -> int | None:
        """See io.RawIOBase."""
        self._file.seek(self._at)
        count = self._file.readinto(memoryview(buffer)[: max(0, self._stop - self._at)])
        self._at += count or 0
        return count


def expect(file: io.IOBase, ranges: Sequence[Range]) -> None:
    """Say what will be read next of a file; of one that fetches nothing ahead this changes nothing."""
    if isinstance(file, ReadAhead | Window):
        file.expect(ranges)
