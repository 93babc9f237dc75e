"""Callers that ask at a steady pace, check every score that they get, and remember what was acknowledged."""

import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.model.engine import Engine
from tests.soak.instance import Instance

PATIENCE_S = 60.0
"""How long a caller waits for an answer. Longer than any that a busy machine needs: silence is an error."""


@dataclass
class Ledger:
    """What became of all requests. `acknowledged` has each lead's score and version, by lead id."""

    outcomes: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    acknowledged: dict[str, tuple[float, str]] = field(default_factory=dict)
    latencies_ms: list[float] = field(default_factory=list)


@dataclass
class Door:
    """The way to one instance: open while it is ready, as a load balancer knows. `kills` are times when it died."""

    instance: Instance
    kills: list[float] = field(default_factory=list)
    ready: asyncio.Event = field(default_factory=asyncio.Event)


class Callers:
    """Send leads to the instances in turn, `rate` requests a second altogether."""

    def __init__(
        self, doors: Sequence[Door], engines: Mapping[str, Engine], leads: Sequence[dict[str, Any]], ledger: Ledger
    ) -> None:
        self._doors, self._engines, self._leads, self._ledger = doors, engines, leads, ledger
        self._numbers = itertools.count()

    async def run(self, rate: float, over: asyncio.Event, callers: int = 16) -> None:
        """Until it is over and every request is answered or lost."""
        pace = self._pace(rate)
        doors = itertools.islice(itertools.cycle(self._doors), callers)
        await asyncio.gather(*(self._call(door, pace, over) for door in doors))

    def _pace(self, rate: float) -> Iterator[float]:
        """When each next request is due; what a busy machine missed is not made up for."""
        due = time.monotonic()
        while True:
            due = max(due + 1 / rate, time.monotonic() - 0.1)
            yield due

    async def _call(self, door: Door, pace: Iterator[float], over: asyncio.Event) -> None:
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        opened = 0.0
        while not over.is_set():
            await asyncio.sleep(max(0.0, next(pace) - time.monotonic()))
            await door.ready.wait()
            number = next(self._numbers)
            if streams and streams[0].at_eof():
                streams[1].close()
                streams = None
            opened = opened if streams else time.monotonic()
            try:
                streams = streams or await asyncio.open_connection("127.0.0.1", door.instance.port)
                await asyncio.wait_for(self._ask(*streams, number), PATIENCE_S)
            except (TimeoutError, OSError, EOFError) as error:
                if streams:
                    streams[1].close()
                streams = None
                if any(killed >= opened for killed in door.kills):
                    self._ledger.outcomes["lost with its connection by a kill"] += 1
                else:
                    self._ledger.outcomes["failed"] += 1
                    self._ledger.errors.append(f"request {number} to {door.instance.name}: {error!r}")
        if streams:
            streams[1].close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        picked = [self._leads[(7 * number + i) % len(self._leads)] for i in range(1 + number % 10)]
        ids = [f"{number}-{i}" for i in range(len(picked))]
        leads = [{"lead_id": each, "features": lead} for each, lead in zip(ids, picked, strict=True)]
        body = json.dumps({"leads": leads}).encode()
        head = f"POST /v1/score HTTP/1.1\r\nHost: soak\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        began = time.monotonic()
        writer.write(head.encode() + b"\r\n\r\n" + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        content = await reader.readexactly(int(answer.partition("content-length: ")[2].partition("\r\n")[0]))
        status = answer.split(maxsplit=2)[1]
        self._ledger.outcomes[f"answered with {status}"] += 1
        if status != "200":
            self._ledger.errors.append(f"request {number}: {status} {content[:200].decode()}")
            return
        self._ledger.latencies_ms.append((time.monotonic() - began) * 1e3)
        self._check(number, ids, picked, json.loads(content)["scores"])

    def _check(self, number: int, ids: list[str], picked: list[dict[str, Any]], scores: list[dict[str, Any]]) -> None:
        """Score again by the engine of the version that the answer names."""
        versions = {score["model_version"] for score in scores}
        if [score["lead_id"] for score in scores] != ids or len(versions) != 1 or not versions <= self._engines.keys():
            self._ledger.wrong.append(f"request {number}: other leads than asked for, or versions {versions}")
            return
        engine = self._engines[versions.pop()]
        expected = engine.score(engine.parse(json.dumps(picked).encode()))
        for score, right in zip(scores, expected, strict=True):
            if abs(score["score"] - right) > 1e-9:
                self._ledger.wrong.append(
                    f"{score['lead_id']}: {score['score']}, {score['model_version']} says {right}"
                )
            self._ledger.acknowledged[score["lead_id"]] = (score["score"], score["model_version"])
