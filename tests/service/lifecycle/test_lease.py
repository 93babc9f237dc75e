"""One at a time: whoever holds the lease works, a dead holder is replaced, and a replaced one finds out."""

import json
import time
from pathlib import Path

import pytest

from service.lifecycle.job import JobFailed
from service.lifecycle.lease import hold
from service.storage import Conflict, Folder, Storage, StorageError, open_storage

KEY = "leases/retrain.json"


def held_by(models: Storage, holder: str, seconds: float) -> None:
    """Somebody else's lease, that nobody renews."""
    stored = models.read(KEY)
    data = json.dumps({"holder": holder, "until": time.time() + seconds}).encode()
    models.swap(KEY, data, stored and stored.generation)


@pytest.fixture(params=["folder", "bucket"])
def models(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return open_storage(str(tmp_path) if request.param == "folder" else request.getfixturevalue("gcs_url"))


def test_a_lease_is_renewed_while_its_holder_works_and_given_back_after(models: Storage) -> None:
    with hold(models, "retrain", seconds=0.6) as lease:
        time.sleep(1.0)
        lease.check()
        with (
            pytest.raises(JobFailed, match=r"is at work: it holds .*leases/retrain\.json; try later"),
            hold(models, "retrain", seconds=0.6),
        ):
            pass
        lease.check()
    started = time.monotonic()
    with hold(models, "retrain", seconds=30) as again:
        again.check()
    assert time.monotonic() - started < 5


def test_the_lease_of_a_dead_holder_is_taken_over_once_it_has_run_out(models: Storage) -> None:
    held_by(models, "dead:1", 0.5)
    told: list[str] = []
    with hold(models, "retrain", told.append, seconds=5) as lease:
        lease.check()
    assert "waiting up to 0 s for the lease of dead:1" in told[0]


def test_a_holder_that_was_replaced_finds_out_and_leaves_the_new_one_alone(models: Storage) -> None:
    with hold(models, "retrain", seconds=0.6) as lease:
        held_by(models, "thief:1", 60)
        time.sleep(0.5)
        with pytest.raises(JobFailed, match="somebody else holds it; nothing was changed"):
            lease.check()
    stored = models.read(KEY)
    assert stored is not None
    assert b"thief:1" in stored.data


class Flaky(Folder):
    """A folder that cannot be written while `away`; once, it answers `Conflict` to a write that it did."""

    away = False
    unheard = False

    def swap(self, key: str, data: bytes, generation: str | None) -> str:
        if self.away:
            raise StorageError("away")
        made = super().swap(key, data, generation)
        if self.unheard:
            self.unheard = False
            raise Conflict("the answer was lost, and the client tried again")
        return made


def test_a_lease_that_cannot_be_renewed_is_held_until_it_runs_out(tmp_path: Path) -> None:
    models = Flaky(tmp_path)
    with hold(models, "retrain", seconds=0.9) as lease:
        models.away = True
        time.sleep(0.4)
        lease.check()
        time.sleep(0.8)
        with pytest.raises(JobFailed, match="not renewed in time"):
            lease.check()


def test_a_renewal_whose_answer_was_lost_is_none_the_less_one(tmp_path: Path) -> None:
    models = Flaky(tmp_path)
    with hold(models, "retrain", seconds=0.6) as lease:
        models.unheard = True
        time.sleep(0.9)
        lease.check()


def test_of_two_that_start_at_once_one_wins(tmp_path: Path) -> None:
    class Late(Folder):
        """Somebody else is quicker between reading and writing."""

        def read(self, key: str):  # type: ignore[no-untyped-def]
            found = super().read(key)
            if found is None:
                held_by(Folder(tmp_path), "quick:1", 60)
            return found

    with pytest.raises(JobFailed, match="somebody else took"), hold(Late(tmp_path), "retrain", seconds=1):
        pass
