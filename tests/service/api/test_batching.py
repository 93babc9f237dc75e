import asyncio
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from service.api import batching
from service.api.admission import Admission
from service.api.batching import Batcher
from service.api.problem import Problem
from service.api.scorer import BatchResult, Scorer, ScoreRequest
from service.api.spool import Spool
from service.api.watcher import Watcher
from service.model import bundle
from service.storage import open_storage
from tests.service import forge

LEADS = [{**forge.LEAD, "visits": visits} for visits in range(20)]


class Observed(Scorer):
    """Notes how many requests each call scored; breaks on a lead named so, and takes its time."""

    slow_s = 0.0
    calls: list[int]

    def score(self, together: Sequence[ScoreRequest], explain: bool = False) -> BatchResult:
        self.calls.append(len(together))
        done = time.thread_time() + self.slow_s
        while time.thread_time() < done:
            pass
        if any(b"breaks" in asked.body for asked in together):
            raise RuntimeError("broken")
        return super().score(together, explain)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> bundle.Bundle:
    models = open_storage(str(tmp_path_factory.mktemp("models")))
    return bundle.load(models, forge.release(models, version="v1"))


class Bench:
    """A batcher with a real scorer and a real spool."""

    def __init__(self, model: bundle.Bundle, folder: Path, max_bytes: int = 10_000_000, queue_s: float = 60) -> None:
        self.scorer = Observed(model, 1_000)
        self.scorer.calls = []
        self.folder = folder / "spool"
        self.watcher = Watcher(open_storage(str(folder)), 1, 1_000, lambda: None)
        self.watcher.scorer = self.scorer
        self.spool = Spool(self.folder, max_bytes)
        self.batcher = Batcher(self.watcher, self.spool, Admission(queue_s))

    def ask(self, *bodies: bytes) -> list[Any]:
        """What each is answered, an exception where it is refused, all being ready at once."""

        async def request(number: int, body: bytes) -> bytes:
            return await self.batcher.ask(ScoreRequest(body, f"request-{number}", time.perf_counter()))

        async def run() -> list[Any]:
            return await asyncio.gather(*(request(*each) for each in enumerate(bodies)), return_exceptions=True)

        return [json.loads(each) if isinstance(each, bytes) else each for each in asyncio.run(run())]

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for file in self.folder.rglob("*.jsonl") for line in file.read_text().splitlines()]


@pytest.fixture
def make(model: bundle.Bundle, tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def one(**options: Any) -> Bench:
        made.append(Bench(model, tmp_path, **options))
        return made[-1]

    yield one
    for each in made:
        each.spool.stop()


@pytest.fixture
def bench(make: Callable[..., Bench]) -> Bench:
    return make()


def body(*leads: dict[str, Any], **more: object) -> bytes:
    return json.dumps({"leads": [{"features": lead, **more} for lead in leads]}).encode()


def test_what_comes_together_is_scored_together_and_each_gets_its_own(bench: Bench) -> None:
    asked = [body(*LEADS[i : i + 1 + i % 3]) for i in range(16)]
    answers = bench.ask(*asked)
    assert bench.scorer.calls == [16]
    for number, (answer, sent) in enumerate(zip(answers, asked, strict=True)):
        assert answer["request_id"] == f"request-{number}"
        features = [lead["features"] for lead in json.loads(sent)["leads"]]
        engine = bench.scorer.bundle.engine
        assert [each["score"] for each in answer["scores"]] == pytest.approx(
            engine.score(engine.parse(json.dumps(features).encode())), abs=1e-15
        )
        assert [each["lead_id"] for each in answer["scores"]] == [f"request-{number}-{i}" for i in range(len(features))]
    kept = {(record["lead_id"], record["score"]) for record in bench.records()}
    assert kept == {(each["lead_id"], each["score"]) for answer in answers for each in answer["scores"]}


def test_it_waits_while_more_come_and_no_longer_than_some_looks(bench: Bench) -> None:
    async def run(looks: int) -> None:
        waiting = []
        for _ in range(looks):
            waiting.append(bench.batcher.ask(ScoreRequest(body(LEADS[0]), "one", time.perf_counter())))
            await asyncio.sleep(0)
        await asyncio.gather(*waiting)

    asyncio.run(run(3))
    assert bench.scorer.calls == [3]
    bench.scorer.calls.clear()
    asyncio.run(run(20))
    assert 2 <= len(bench.scorer.calls) <= 20 / batching.GATHER_PASSES + 1


def test_a_bad_request_is_refused_alone(bench: Bench) -> None:
    bad, huge = body(LEADS[0]) + b"]", body({**LEADS[0], "visits": "many"})
    first, broken, named, last = bench.ask(body(LEADS[0]), bad, huge, body(LEADS[1]))
    assert bench.scorer.calls == [4]
    assert (broken.status, named.status) == (400, 422)
    assert [error.path for error in named.errors] == ["leads[0].features.visits"]
    assert {record["request_id"] for record in bench.records()} == {first["request_id"], last["request_id"]}


def test_a_request_that_breaks_the_engine_does_so_for_nobody_else(bench: Bench) -> None:
    first, broken, last = bench.ask(body(LEADS[0]), body(LEADS[0], lead_id="breaks"), body(LEADS[1]))
    assert isinstance(broken, RuntimeError)
    assert bench.scorer.calls == [3, 1, 1, 1]
    assert {record["request_id"] for record in bench.records()} == {first["request_id"], last["request_id"]}


def test_records_that_cannot_be_kept_are_no_scores(make: Callable[..., Bench]) -> None:
    bench = make(max_bytes=10)
    assert [refusal.status for refusal in bench.ask(body(LEADS[0]), body(LEADS[1]))] == [503, 503]
    assert bench.records() == []


def test_without_a_model_all_are_refused(bench: Bench) -> None:
    bench.watcher.scorer = None
    assert [refusal.status for refusal in bench.ask(body(LEADS[0]), body(LEADS[1]))] == [503, 503]


def test_large_requests_are_scored_one_after_the_other(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "MAX_BATCH_BYTES", 3 * len(body(LEADS[10])))
    bench.ask(body(*LEADS), *[body(LEADS[10])] * 5, body(*LEADS))
    assert bench.scorer.calls == [1, 3, 2, 1]


def test_what_the_queue_has_no_time_for_is_refused_as_it_comes(
    make: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "MAX_BATCH_BYTES", 0)
    monkeypatch.setattr(batching, "GATHER_PASSES", 0)
    bench = make(queue_s=0.05)
    bench.scorer.slow_s = 0.01
    waiting: list[asyncio.Future[bytes]] = []

    def ask() -> bool:
        try:
            waiting.append(bench.batcher.ask(ScoreRequest(body(LEADS[0]), "one", time.perf_counter())))
        except Problem as refusal:
            return (refusal.status, refusal.retry_s) != (503, 1)
        return True

    async def run() -> list[bool]:
        let_in = []
        for _ in range(200):  # three come while one is scored
            let_in += [ask() for _ in range(3)]
            await asyncio.sleep(0)
        await asyncio.wait(waiting)
        assert ask()
        await waiting[-1]
        return let_in

    let_in = asyncio.run(run())
    assert sum(let_in[-150:]) == pytest.approx(50, abs=5)  # it had to learn first; then one for each that is scored
    assert all(json.loads(each.result())["scores"] for each in waiting)  # whoever is let in is answered
    assert len(bench.records()) == len(bench.scorer.calls) == sum(let_in) + 1  # of the rest nothing was decoded


def test_who_went_away_holds_up_nobody(bench: Bench) -> None:
    async def run() -> bytes:
        gone = bench.batcher.ask(ScoreRequest(body(LEADS[0]), "gone", time.perf_counter()))
        stays = bench.batcher.ask(ScoreRequest(body(LEADS[1]), "stays", time.perf_counter()))
        gone.cancel()
        return await stays

    assert json.loads(asyncio.run(run()))["request_id"] == "stays"
