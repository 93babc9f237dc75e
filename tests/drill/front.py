"""What stands in front of the service here: a proxy that can hold a request back once it has begun, or refuse it."""

import contextlib
import http.client
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWER_S = 10.0
HEADER = "x-goog-iap-jwt-assertion"


class FaultyProxy:
    """Passes POST on to pods in turn, with an assertion; one that takes no connection is passed over. `pods` gives the
    ports. `hold_s` is how long it keeps a body back, as a slow network does; `refuses` answers everybody 401, as the
    identity-aware proxy answers whom it does not know."""

    def __init__(self, pods: Callable[[], Sequence[int]], sign: Callable[[], str] = str) -> None:
        self.hold_s, self.refuses = 0.0, False
        self._pods, self._turn, self._sign = pods, itertools.count(), sign
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    @property
    def port(self) -> int:
        """Where callers send to."""
        return self._server.server_port

    def close(self) -> None:
        """Listen no longer."""
        self._server.shutdown()
        self._server.server_close()

    def forward(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of a pod's answer; 502 where there is none."""
        if self.refuses:
            return 401, b"Invalid IAP credentials: empty token"
        pods = deque(self._pods())
        pods.rotate(next(self._turn))
        for port in pods:
            with contextlib.suppress(ConnectionRefusedError):
                return self._ask(port, path, body)
        return 502, b"{}"

    def _ask(self, port: int, path: str, body: bytes) -> tuple[int, bytes]:
        service = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_S)
        try:
            service.connect()
        except ConnectionRefusedError:
            service.close()
            raise
        try:
            service.putrequest("POST", path)
            service.putheader("Content-Type", "application/json")
            service.putheader("Content-Length", str(len(body)))
            service.putheader(HEADER, self._sign())
            service.endheaders()
            time.sleep(self.hold_s)
            service.send(body)
            answer = service.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return 502, b"{}"
        finally:
            service.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        forward = self.forward

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                status, body = forward(self.path, self.rfile.read(int(self.headers.get("Content-Length", 0))))
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Requests come ten times a second."""

        return Handler
