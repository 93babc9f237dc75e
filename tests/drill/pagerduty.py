"""A local endpoint of PagerDuty's Events API v2, which keeps what it is sent.

https://developer.pagerduty.com/docs/events-api-v2/trigger-events
"""

import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "0123456789abcdef0123456789abcdef"
"""The integration key: 32 characters, as PagerDuty's are."""
SEVERITIES = frozenset(["critical", "error", "warning", "info"])
LONGEST_KEY, LONGEST_BODY = 255, 512_000
"""Characters of a dedup key, bytes of an event, at most."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `at` is in seconds of time.monotonic(); of a resolve only action and key say something."""

    at: float
    action: str
    key: str
    alert: str = ""
    severity: str = ""
    summary: str = ""
    link: str = ""


class PagerDuty:
    """The endpoint, listening from its making on. The first event is answered 429, as a busy PagerDuty would."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._came = threading.Condition()
        self._busy = True
        self.refused: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    @property
    def url(self) -> str:
        """Where events are sent to."""
        return f"http://127.0.0.1:{self._server.server_port}/v2/enqueue"

    def events(self) -> list[Event]:
        """All that were accepted, oldest first."""
        with self._came:
            return list(self._events)

    def triggered(self, alert: str, since: float, within_s: float) -> Event | None:
        """The first page of this alert that came since, waiting for it at most so long."""
        return self._wait(lambda e: e.action == "trigger" and e.alert == alert and e.at >= since, since + within_s)

    def resolved(self, key: str, since: float, within_s: float) -> Event | None:
        """The resolve of this key that came since."""
        return self._wait(lambda e: e.action == "resolve" and e.key == key and e.at >= since, since + within_s)

    def until_quiet(self, alert: str, within_s: float) -> None:
        """Return when nothing of this alert is open, or after so long."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            events = self.events()
            last = {event.key: event.action for event in events}
            if not any(e.alert == alert and last[e.key] == "trigger" for e in events):
                return
            time.sleep(0.2)

    def close(self) -> None:
        """Listen no longer."""
        self._server.shutdown()
        self._server.server_close()

    def _wait(self, wanted: Any, until: float) -> Event | None:
        with self._came:
            while True:
                if found := next((event for event in self._events if wanted(event)), None):
                    return found
                if (left := until - time.monotonic()) <= 0:
                    return None
                self._came.wait(left)

    def accept(self, path: str, body: bytes) -> tuple[int, str]:
        """The status and message that PagerDuty answers; a good event is kept."""
        if path != "/v2/enqueue":
            return 404, "no such path"
        try:
            event = _event(json.loads(body))
        except (ValueError, KeyError, TypeError) as error:
            self.refused.append(str(error))
            return 400, f"event object is invalid: {error}"
        with self._came:
            if self._busy:
                self._busy = False
                return 429, "too many requests"
            self._events.append(event)
            self._came.notify_all()
        return 202, "Event processed"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        accept = self.accept

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                if length > LONGEST_BODY:
                    self.send_error(413)
                    return
                status, message = accept(self.path, self.rfile.read(length))
                answer = json.dumps({"status": "success" if status == 202 else "invalid event", "message": message})
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer.encode())

            def log_message(self, format: str, *args: object) -> None:
                """What came is in the table."""

        return Handler


def _event(sent: dict[str, Any]) -> Event:
    """Raises KeyError, TypeError and ValueError for what PagerDuty would refuse."""
    action, key = str(sent["event_action"]), str(sent["dedup_key"])
    if sent["routing_key"] != KEY:
        raise ValueError("routing_key is not that of the service")
    if not 0 < len(key) <= LONGEST_KEY:
        raise ValueError(f"dedup_key has {len(key)} characters")
    if action == "resolve":
        return Event(time.monotonic(), action, key)
    if action != "trigger":
        raise ValueError(f"event_action {action!r}")
    payload, links = sent["payload"], sent.get("links") or [{"href": ""}]
    if payload["severity"] not in SEVERITIES or not payload["summary"] or not payload["source"]:
        raise ValueError("payload needs summary, source and a severity")
    return Event(
        time.monotonic(),
        action,
        key,
        payload.get("class", ""),
        payload["severity"],
        payload["summary"],
        links[0]["href"],
    )
