"""The Parquet objects of a storage that DuckDB reads: their paths, and why reading them failed."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import duckdb
import pyarrow as pa
from pyarrow import parquet

from service.lifecycle.relations.objects import PROTOCOL, ObjectFiles
from service.lifecycle.relations.raw_objects import gone
from service.storage import Folder, Storage, StorageError

Found = TypeVar("Found")
TRIES = 3
"""How often a query is run whose files others replace meanwhile."""


class StoredTables:
    """Objects that are read as they are at one time.

    In a folder DuckDB opens the files itself, several times for one query: where one was replaced meanwhile the query
    is run again. In a bucket `files` pins the generation of each. A `read_only` folder is read like a bucket, for what
    DuckDB may open in a folder it may replace too; this takes longer.
    """

    def __init__(self, predictions: Storage, read_only: bool = False) -> None:
        self._predictions = predictions
        self._keys: list[str] = []
        self._root = predictions.root if isinstance(predictions, Folder) and not read_only else None
        self.files = None if self._root else ObjectFiles(predictions)

    @property
    def place(self) -> str:
        """The directory that DuckDB has to be allowed to read."""
        return f"{self._root}/" if self._root else f"{PROTOCOL}://"

    @property
    def failed(self) -> StorageError | None:
        """The error of the storage that made DuckDB fail."""
        return self.files.failed if self.files else None

    def paths(self, keys: Iterable[str]) -> list[str]:
        """The paths by which DuckDB reads these objects."""
        added = list(keys)
        self._keys += added
        return [f"{self.place}{key}" for key in added]

    def pin(self, keys: Iterable[str]) -> None:
        """See to it that none of these objects is read as it was before an earlier one of them was seen."""
        if self.files:
            for key in keys:
                self.files.info(key)

    def reading(self, read: Callable[[], Found]) -> Found:
        """What `read` returns. Raises StorageError, naming the object, where one cannot be read."""
        for _ in range(TRIES):
            before = self._states()
            try:
                found = read()
            except duckdb.Error as error:
                if self._states() != before:
                    continue
                if cause := self._cause(error):
                    raise cause from error
                raise
            if self._states() == before:
                return found
        raise StorageError(f"{self._predictions.url}: tables of records are replaced again and again; run again")

    def _states(self) -> list[tuple[int, int, int] | None]:
        """What tells one state of a file from the next, for each that may be replaced while it is read."""
        if not self._root:
            return []
        states = list[tuple[int, int, int] | None]()
        for key in self._keys:
            try:
                found = (self._root / key).stat()
                states.append((found.st_ino, found.st_size, found.st_mtime_ns))
            except FileNotFoundError:
                states.append(None)
        return states

    def _cause(self, error: duckdb.Error) -> StorageError | None:
        """Why the storage's objects made this error; None where they did not."""
        if self.failed:
            return self.failed
        of_reading = (duckdb.IOException, duckdb.HTTPException, duckdb.InvalidInputException)
        if type(error) is not duckdb.Error and not isinstance(error, of_reading):
            return None
        for key in self._keys:
            if why := self._broken(key):
                return why
        return (
            StorageError(f"the prediction records cannot be read: {error}") if isinstance(error, of_reading) else None
        )

    def _broken(self, key: str) -> StorageError | None:
        opened = self.files.opened(key) if self.files else self._predictions.open(key)
        if opened is None:
            return gone(self._predictions, key)
        try:
            with opened.file:
                for _ in parquet.ParquetFile(opened.file, page_checksum_verification=True).iter_batches():
                    pass
        except (pa.ArrowException, OSError) as error:
            why = f"{self._predictions.url}/{key} is a broken Parquet file ({' '.join(str(error).split())})"
            return StorageError(f"{why}; restore an earlier version of it, then run again")
        return None
