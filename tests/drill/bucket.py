"""A bucket that takes uploads as Cloud Storage does and puts them into a folder, until its grant is revoked.

Only what an upload asks for: https://cloud.google.com/storage/docs/json_api/v1/objects/insert. A refusal has the body
of https://cloud.google.com/storage/docs/json_api/v1/status-codes#403-forbidden.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from service.storage import Conflict, Folder

NAME = "predictions"


class RevocableBucket:
    """Listens from its making on. `revoked` refuses each write with 403."""

    def __init__(self, folder: Path) -> None:
        self.revoked, self._folder = False, Folder(folder)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    @property
    def address(self) -> str:
        """The value of STORAGE_EMULATOR_HOST."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Listen no longer."""
        self._server.shutdown()
        self._server.server_close()

    def insert(self, content_type: str, body: bytes) -> tuple[int, dict[str, object]]:
        """The answer to a multipart upload of an object that must not exist yet."""
        if self.revoked:
            message = "jobs does not have storage.objects.create access to the Google Cloud Storage object."
            return 403, {"error": {"code": 403, "message": message, "errors": [{"reason": "forbidden"}]}}
        boundary = b"--" + content_type.partition("boundary=")[2].strip("\"'").encode()
        _, described, content, _ = (part.partition(b"\r\n\r\n")[2][:-2] for part in body.split(boundary))
        name = json.loads(described)["name"]
        try:
            self._folder.create(name, content)
        except Conflict:
            return 412, {"error": {"code": 412, "message": "a condition was not met"}}
        return 200, {"kind": "storage#object", "bucket": NAME, "name": name, "generation": "1"}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        insert = self.insert

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, said = insert(self.headers["Content-Type"], body)
                answer = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                """Uploads come twice a second."""

        return Handler
