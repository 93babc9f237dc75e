"""Searches places for leads and rewrites, by compare-and-swap, each object that holds one without it."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO

from service.lifecycle.forgetting.erasure import READ, without
from service.lifecycle.forgetting.places import Target
from service.lifecycle.forgetting.search import Search, Tally
from service.lifecycle.relations.record_files import table_place
from service.lifecycle.runtime.runner import Progress
from service.storage import Conflict, Storage, StorageError

TRIES = 5
"""How often an object that others change meanwhile is read again."""


@dataclass(frozen=True)
class Removed:
    """One object, and the rows that were taken out of it (dry run: would be), `trials` among them.

    `deleted`: no other row was in it.
    """

    object: str
    rows: int
    trials: int
    deleted: bool


@dataclass
class Swept:
    """What a search of one place found. `failed` names what could not be searched, and why."""

    url: str
    holds: str = ""
    objects: int = 0
    removed: list[Removed] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def fail(self, where: str, error: Exception) -> None:
        """Note that this could not be searched."""
        self.failed.append(f"{where}: {str(error).removeprefix(f'{where}: ') or type(error).__name__}")


def sweep(
    places: Sequence[Target],
    search: Search,
    dry_run: bool = False,
    tell: Progress = lambda _: None,
    check: Callable[[], None] = lambda: None,
) -> list[Swept]:
    """Take the leads out of every object of the places.

    A first search reads all objects, and learns what is known of the leads; a second one rewrites those that hold them,
    or trials on the page. `check` is called before each object is rewritten, and may raise. Whatever is wrong with one
    object or place, the others are searched.
    """
    results, again = [], []
    for target in places:
        swept, mine = Swept(target.url, target.holds), target.search(search)
        results.append(swept)
        for key in _keys(target, swept, tell):
            with _noted(swept, f"{target.storage.url}/{key}"):
                found = survey(target.storage, key, mine)
                swept.objects += 1
                if found.gone or found.trials:
                    again.append((bool(found.gone), target.storage, key, swept, mine))
    if search.trials:
        search.trials.learning = False
    # First what holds trials alone: as long as a lead's own rows are there, a search that was stopped can be repeated.
    again.sort(key=lambda each: each[0])
    for number, (_, storage, key, swept, mine) in enumerate(again, 1):
        tell(f"{'looking again at' if dry_run else 'removing from'} {storage.url}/{key} ({number:,} of {len(again):,})")
        with _noted(swept, f"{storage.url}/{key}"):
            check()
            if removal := forget_in(storage, key, mine, dry_run):
                swept.removed.append(removal)
    return results


def _keys(target: Target, swept: Swept, tell: Progress) -> Iterator[str]:
    keys: list[str] = []
    with _noted(swept, target.url):
        keys = target.keys()
    for number, key in enumerate(keys, 1):
        tell(f"searching {target.storage.url}/{key} ({number:,} of {len(keys):,})")
        yield key


@contextlib.contextmanager
def _noted(swept: Swept, where: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # the libraries raise many kinds for broken files
        swept.fail(where, error)


def survey(storage: Storage, key: str, search: Search) -> Tally:
    """What one object holds; nothing is changed."""
    if (opened := storage.open(key)) is None:
        return Tally()
    with opened.file:
        return without(f"{storage.url}/{key}", opened, None, search)


def forget_in(storage: Storage, key: str, search: Search, dry_run: bool = False) -> Removed | None:
    """Take the leads out of one object; None where it holds none of them. Raises Conflict when it never holds still."""
    for _ in range(TRIES - 1):
        with contextlib.suppress(Conflict):
            return _forget_once(storage, key, search, dry_run)
    return _forget_once(storage, key, search, dry_run)


def _forget_once(storage: Storage, key: str, search: Search, dry_run: bool) -> Removed | None:
    """Raises Conflict when the object was changed meanwhile, StorageError where there is none any more."""
    if (opened := storage.open(key)) is None:
        raise StorageError("is gone since it was searched, and may stand elsewhere now; start again")
    with opened.file, tempfile.TemporaryFile() as kept:
        found = without(f"{storage.url}/{key}", opened, None if dry_run else kept, search)
        stays = bool(found.rows or table_place(key))  # a manifest names the table: it stays, without rows
        if found.gone and not dry_run:
            _replace(storage, key, opened.generation, kept if stays else None)
    return Removed(f"{storage.url}/{key}", found.gone, found.trials, not stays) if found.gone else None


def _replace(storage: Storage, key: str, generation: str, kept: IO[bytes] | None) -> None:
    if kept is None:
        storage.delete(key, generation)
        return
    kept.seek(0)
    with storage.writing(key, generation) as out:
        while part := kept.read(READ):
            out.write(part)
