"""The service outside that the heartbeat calls: it pages when nobody has called for a while."""

import json
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.drill.pagerduty import KEY
from tests.drill.watch import FASTER

ALERT = "HeartbeatSilent"
SILENCE_S = 35 * 60 / FASTER
"""Two calls of a quarter of an hour were left out, and five minutes passed."""
TICK_S = 0.2


class HeartbeatReceiver(threading.Thread):
    """Watches from the first call on."""

    def __init__(self, pagerduty: str, runbooks: str) -> None:
        super().__init__(name="outside", daemon=True)
        self._pagerduty, self._runbook = pagerduty, f"{runbooks}/telemetry.md"
        self._over, self.called = threading.Event(), threading.Event()
        self._last = 0.0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    @property
    def address(self) -> str:
        """What the heartbeat calls."""
        return f"http://127.0.0.1:{self._server.server_port}/a-secret-path"

    def run(self) -> None:
        """Look at the clock on and on."""
        paged = False
        while not self._over.wait(TICK_S):
            silent = self.called.is_set() and time.monotonic() - self._last > SILENCE_S
            if silent != paged:
                self._send("trigger" if silent else "resolve")
                paged = silent

    def stop(self) -> None:
        """Watch no longer."""
        self._over.set()
        if self.is_alive():
            self.join(15)
        self._server.shutdown()
        self._server.server_close()

    def _send(self, action: str) -> None:
        event = {
            "routing_key": KEY,
            "event_action": action,
            "dedup_key": "heartbeat of the watching",
            "payload": {
                "summary": "The watching of lead scoring does not say that it works.",
                "source": "outside",
                "severity": "critical",
                "class": ALERT,
            },
            "links": [{"href": self._runbook, "text": "Runbook"}],
        }
        request = urllib.request.Request(
            self._pagerduty, json.dumps(event).encode(), {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=10).close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outside = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outside._last = time.monotonic()
                outside.called.set()
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Calls come every quarter of a minute."""

        return Handler
