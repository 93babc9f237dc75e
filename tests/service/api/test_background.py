"""What runs beside the requests goes on after an error that nobody expected."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from service.api.connections import Connection, sweep
from service.api.scorer import Scorer
from service.api.watcher import Watcher
from service.model.agreement import Agreement
from service.storage import open_storage
from tests.facts import states
from tests.service import forge


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.01)


def beside(background: Awaitable[None], meanwhile: Awaitable[None]) -> None:
    """Run both until the second one ends."""

    async def run() -> None:
        task = asyncio.ensure_future(background)
        try:
            await meanwhile
        finally:
            task.cancel()

    asyncio.run(run())


def test_a_connection_that_cannot_be_checked_keeps_no_slow_caller_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "most", 10)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("no request is ever whole")

    config, state = uvicorn.Config(app, http=Connection, lifespan="off", log_config=None), ServerState()
    config.load()

    async def callers() -> None:
        def connect() -> Connection:
            return Connection(config=config, server_state=state, app_state={})

        server = await asyncio.get_running_loop().create_server(connect, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        with socket.create_connection(address):
            await until(lambda: len(state.connections) == 1)
            (broken,) = state.connections
            broken.waiting_for = lambda: 1 / 0  # type: ignore[union-attr]
            with socket.create_connection(address, timeout=60) as slow:
                answer = await asyncio.to_thread(slow.recv, 100)
        assert answer.startswith(b"HTTP/1.1 408 ")
        await until(lambda: not state.connections)
        server.close()

    beside(sweep(state.connections, 0.1), callers())  # type: ignore[arg-type]


def test_a_swap_that_fails_ends_no_watching(tmp_path: Path) -> None:
    models = open_storage(str(tmp_path))
    forge.release(models, version="v1")
    swapped = []

    def on_swap() -> None:
        swapped.append(watcher.served().bundle.version)
        if len(swapped) == 1:
            raise RuntimeError("unexpected")

    watcher = Watcher(models, 0.01, 1_000, on_swap)

    async def promote() -> None:
        await until(lambda: swapped == ["v1"])
        await asyncio.to_thread(forge.release, models, 2, "v2")
        await until(lambda: swapped == ["v1", "v2"])

    beside(watcher.run(), promote())


def test_a_model_that_nobody_agreed_on_is_served_to_this_machine_alone(tmp_path: Path) -> None:
    models = open_storage(str(tmp_path))
    forge.release(models, version="v1", agreement=Agreement(metric="profit", agreed_by="sales"))
    here, for_others = (Watcher(models, 0.01, 1_000, lambda: None, to_others=each) for each in (False, True))
    assert here.check() is not None
    assert for_others.check() is None
    assert for_others.refused is not None
    reason, detail = for_others.refused
    assert reason == "not_agreed"
    states(detail, "metric_reason, agreed_on", "scripts/check --decide")


def test_a_model_that_fails_unexpectedly_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = open_storage(str(tmp_path))
    forge.release(models, version="v1")
    tried = []

    def scorer(*given: Any) -> Any:
        tried.append(given)
        if len(tried) == 1:
            raise MemoryError
        return Scorer(*given)

    monkeypatch.setattr("service.api.watcher.Scorer", scorer)
    watcher = Watcher(models, 0.01, 1_000, lambda: None)
    beside(watcher.run(), until(lambda: watcher.scorer is not None))
