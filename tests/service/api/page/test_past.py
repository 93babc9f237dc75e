import asyncio
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from service.api.page import past as past_module
from service.api.page.past import DECISIONS, PastReader
from service.history import Decision, append
from service.storage import Folder, StorageError, Stored
from tests.conftest import HANG_S
from tests.service import forge


def decision(day: int) -> Decision:
    return Decision(
        time=datetime(2026, 1, day, tzinfo=UTC),
        action="kept",
        trigger="schedule",
        version=f"v{day}",
        before=None,
        author="a test",
        reason=f"day {day}",
    )


class Away(Folder):
    """A storage that can be taken away, and that can be slow; it counts who asked for the pointer."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.away, self.asked, self.answers = False, 0, threading.Event()
        self.answers.set()

    def read(self, key: str) -> Stored | None:
        self.asked += key == "champion.json"
        self.answers.wait(HANG_S)
        if self.away:
            raise StorageError("away")
        return super().read(key)


@pytest.fixture
def models(tmp_path: Path) -> Away:
    storage = Away(tmp_path)
    forge.release(storage, version="v1")
    for day in range(1, DECISIONS + 3):
        append(storage, decision(day))
    storage.asked = 0
    return storage


def test_the_newest_entries_come_first(models: Away) -> None:
    past, fresh = asyncio.run(PastReader(models, wait_s=HANG_S).get())
    assert past is not None
    assert fresh
    assert past.pointer is not None
    assert past.pointer.version == "v1"
    assert [each.version for each in past.decisions] == [f"v{day}" for day in range(DECISIONS + 2, 2, -1)]
    assert (past.evaluations, past.drift) == ([], None)


def test_what_was_just_read_is_not_read_again(models: Away) -> None:
    async def many() -> None:
        reader = PastReader(models, keep_s=HANG_S, wait_s=HANG_S)
        await asyncio.gather(*(reader.get() for _ in range(20)))
        await reader.get()

    asyncio.run(many())
    assert models.asked == 1


def test_what_is_old_is_read_again(models: Away) -> None:
    async def twice() -> None:
        reader = PastReader(models, keep_s=0, wait_s=HANG_S)
        await reader.get()
        append(models, decision(28))
        past, _ = await reader.get()
        assert past is not None
        assert past.decisions[0].version == "v28"

    asyncio.run(twice())


def test_while_the_storage_is_away_the_last_past_is_given_and_called_old(
    models: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(past_module, "time", SimpleNamespace(monotonic=lambda: now))

    async def away() -> None:
        nonlocal now
        reader = PastReader(models, keep_s=30, wait_s=HANG_S)
        known, fresh = await reader.get()
        assert fresh
        models.away = True
        now = 30
        assert await reader.get() == (known, True)
        now = 30.1
        assert await reader.get() == (known, False)
        models.away = False
        assert (await reader.get())[1]

    asyncio.run(away())


def test_a_storage_that_was_never_reached_gives_nothing(models: Away, caplog: pytest.LogCaptureFixture) -> None:
    models.away = True
    assert asyncio.run(PastReader(models, wait_s=HANG_S).get()) == (None, False)
    assert [line.message for line in caplog.records if line.name.endswith("past")] == ["the history cannot be read"]


def test_a_broken_entry_is_no_failure_of_the_page(models: Away, caplog: pytest.LogCaptureFixture) -> None:
    models.create("history/decisions/20990101T000000.000000Z-0.json", b"{")
    assert asyncio.run(PastReader(models, wait_s=HANG_S).get()) == (None, False)
    assert [line.message for line in caplog.records if line.name.endswith("past")] == ["the history cannot be read"]


def test_a_slow_storage_is_not_waited_for(models: Away) -> None:
    async def slow() -> None:
        reader = PastReader(models, wait_s=0.05)
        models.answers.clear()
        assert await reader.get() == (None, False)
        assert await reader.get() == (None, False)
        models.answers.set()
        for _ in range(6_000):
            if (await reader.get())[1]:
                break
        else:
            pytest.fail("it was never read")

    asyncio.run(slow())
    assert models.asked == 1
