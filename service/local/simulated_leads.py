"""Traffic for a source that generates its leads: they are scored through HTTP, and their outcomes arrive late and in
pieces, as a CRM's do. So a newcomer sees the loop close."""

from collections.abc import Callable
from datetime import datetime
from heapq import heappop, heappush

import numpy as np

from service import client
from service.lifecycle.data.sample import Sample, generate
from service.lifecycle.data.source import Source
from service.lifecycle.evaluation.outcomes import PREFIX
from service.lifecycle.training.golden import as_received
from service.model.schema import LeadSchema
from service.storage import Storage, StorageError

A_DAY, AT_ONCE = 240, 10
"""Leads that come in a day, and those that come together."""

SILENT = 0.03
"""Share of the leads of which nothing is ever heard."""

LATEST = 0.9
"""Of the maturity: by then every other outcome is known."""


class Player:
    """Sends what is due when it is asked to. Times are in days of the loop's clock since it started."""

    def __init__(
        self,
        source: Source,
        sample: Sample,
        service: str,
        leads: Storage,
        start: datetime,
        say: Callable[[str], None],
    ) -> None:
        self._source, self._service, self._leads, self._say = source, service.rstrip("/"), leads, say
        self._sample, self._name = sample, f"{start:%Y%m%dT%H%M%S}"
        self._draw = np.random.default_rng(int(start.timestamp()))
        self._schema: LeadSchema | None = None
        self._sent = self._delivered = 0
        self._coming: list[tuple[float, str, bool]] = []  # when it is known, lead, whether it converted

    def play(self, day: float) -> None:
        """Send the leads and deliver the outcomes that are due by now, of leads at most a day's.

        What fails is said, and tried again.
        """
        try:
            due = min(day * A_DAY, self._sent + A_DAY)
            while self._sent + AT_ONCE <= due:
                self._send(day)
            if int(day) > self._delivered:
                self._deliver(day)
                self._delivered = int(day)
        except (OSError, StorageError) as error:
            self._say(f"traffic: {error}")

    def _send(self, day: float) -> None:
        schema = self._schema = self._schema or client.lead_schema(self._service)
        seed = self._sample.seed + 1_000 + self._sent
        frame = generate(Sample(rows=AT_ONCE, seed=seed, drift=self._sample.drift)).frame
        ids = [f"{self._name}-{self._sent + i:07d}" for i in range(AT_ONCE)]
        rows = frame[[f.name for f in schema.features]].to_dict("records")
        features = [
            as_received(schema, {name: np.nan if value is None else value for name, value in row.items()})
            for row in rows
        ]
        client.score(self._service, zip(ids, features, strict=True))
        self._sent += AT_ONCE
        for lead, converted in zip(ids, frame[self._source.target_column], strict=True):
            if self._draw.random() >= SILENT:
                known = day + self._source.maturity_days * LATEST * self._draw.random()
                heappush(self._coming, (known, lead, bool(converted)))

    def _deliver(self, day: float) -> None:
        rows = []
        while self._coming and self._coming[0][0] <= day:
            _, lead, converted = heappop(self._coming)
            rows.append(f"{lead},{str(converted).lower()}")
        if rows:
            text = "\n".join([f"{self._source.lead_id},{self._source.target_column}", *rows])
            self._leads.create(f"{PREFIX}{self._name}-day-{int(day):05d}.csv", text.encode())
            self._say(f"traffic: {self._sent:,} leads so far, {len(rows)} outcomes came today")
