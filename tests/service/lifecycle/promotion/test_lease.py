"""One at a time: whoever holds the lease works, a dead holder is replaced, and a replaced one finds out."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from service.lifecycle.promotion import lease as lease_module
from service.lifecycle.promotion.lease import Lease, hold
from service.lifecycle.runtime.runner import JobFailed
from service.storage import Conflict, Folder, Storage, StorageError, open_storage
from tests.conftest import HANG_S
from tests.facts import states, stating

KEY = "leases/retrain.json"


class Clock:
    """The wall clock of the leases: it moves only when a test moves it. `sleeping` says what sleeping on it does."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.sleeping: Callable[[float], None] = self.pass_by

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.sleeping(seconds)

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(lease_module, "time", made)
    return made


def held_by(models: Storage, holder: str, until: float) -> None:
    """Somebody else's lease, that nobody renews. A renewal between reading and writing only makes it try again."""
    data = json.dumps({"holder": holder, "until": until}).encode()
    while True:
        stored = models.read(KEY)
        with suppress(Conflict):
            models.swap(KEY, data, stored and stored.generation)
            return


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HANG_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def until_renewed(lease: Lease, clock: Clock, seconds: float) -> None:
    """Return when the lease lasts this long from now."""
    until(lambda: lease._until == clock.now + seconds)


@pytest.fixture(params=["folder", "bucket"])
def models(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return open_storage(str(tmp_path) if request.param == "folder" else request.getfixturevalue("gcs_url"))


def test_a_lease_is_renewed_while_its_holder_works_and_given_back_after(models: Storage, clock: Clock) -> None:
    seconds = 0.3  # renewed each 0.1 s of real time
    with hold(models, "retrain", seconds=seconds) as lease:
        for _ in range(3):
            clock.now += 0.25
            lease.check()
            until_renewed(lease, clock, seconds)
        clock.now += 0.1

        def meanwhile(_: float) -> None:
            until_renewed(lease, clock, seconds)

        clock.sleeping = meanwhile
        with (
            pytest.raises(JobFailed, match=stating("at work", "leases/retrain.json", "later")),
            hold(models, "retrain", seconds=seconds),
        ):
            pass
        lease.check()
    told: list[str] = []
    with hold(models, "retrain", told.append, seconds=30) as again:
        again.check()
    assert told == []  # it did not have to wait


def test_the_lease_of_a_dead_holder_is_taken_over_once_it_has_run_out(models: Storage, clock: Clock) -> None:
    began = clock.now
    held_by(models, "dead:1", clock.now + 20)
    told: list[str] = []
    with hold(models, "retrain", told.append, seconds=60) as lease:
        lease.check()
    assert len(told) == 1
    states(told, "waiting", "20 s", "lease", "dead:1")
    assert clock.now == began + 20


def test_a_holder_that_was_replaced_finds_out_and_leaves_the_new_one_alone(models: Storage, clock: Clock) -> None:
    with hold(models, "retrain", seconds=0.1) as lease:
        held_by(models, "thief:1", clock.now + 60)
        lease._renewing.join(HANG_S)  # on this clock the lease does not run out: only the conflict ends the renewing
        with pytest.raises(JobFailed, match=stating("somebody else", "nothing was changed")):
            lease.check()
    stored = models.read(KEY)
    assert stored is not None
    assert b"thief:1" in stored.data


class Flaky(Folder):
    """A folder that cannot be written while `away`; once, it answers `Conflict` to a write that it did."""

    away = False
    unheard = False
    refused = 0

    def swap(self, key: str, data: bytes, generation: str | None) -> str:
        if self.away:
            self.refused += 1
            raise StorageError("away")
        made = super().swap(key, data, generation)
        if self.unheard:
            self.unheard = False
            raise Conflict("the answer was lost, and the client tried again")
        return made


def test_a_lease_that_cannot_be_renewed_is_held_until_it_runs_out(tmp_path: Path, clock: Clock) -> None:
    models = Flaky(tmp_path)
    with hold(models, "retrain", seconds=0.1) as lease:
        models.away = True
        until(lambda: models.refused >= 2)
        clock.now += 0.09
        lease.check()
        clock.now += 0.01
        with pytest.raises(JobFailed, match="not renewed in time"):
            lease.check()


def test_a_renewal_whose_answer_was_lost_is_none_the_less_one(tmp_path: Path, clock: Clock) -> None:
    models = Flaky(tmp_path)
    with hold(models, "retrain", seconds=0.1) as lease:
        models.unheard = True
        until(lambda: not models.unheard)
        clock.now += 0.05
        until_renewed(lease, clock, 0.1)  # the next one knows the generation
        lease.check()


def test_of_two_that_start_at_once_one_wins(tmp_path: Path, clock: Clock) -> None:
    class Late(Folder):
        """Somebody else is quicker between reading and writing."""

        def read(self, key: str):  # type: ignore[no-untyped-def]
            found = super().read(key)
            if found is None:
                held_by(Folder(tmp_path), "quick:1", clock.now + 60)
            return found

    with pytest.raises(JobFailed, match="somebody else took"), hold(Late(tmp_path), "retrain", seconds=1):
        pass
