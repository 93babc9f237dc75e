"""What stands in front of the service here: a proxy that can hold a request back once it has begun."""

import http.client
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWER_S = 10.0


class FaultyProxy:
    """Passes POST on to the service. `hold_s` is how long it keeps a body back, as a slow network does."""

    def __init__(self, service_port: int) -> None:
        self.hold_s = 0.0
        self._service_port = service_port
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
        """Status and body of the service's answer; 502 where there is none."""
        service = http.client.HTTPConnection("127.0.0.1", self._service_port, timeout=ANSWER_S)
        try:
            service.putrequest("POST", path)
            service.putheader("Content-Type", "application/json")
            service.putheader("Content-Length", str(len(body)))
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
