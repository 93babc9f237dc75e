"""`python -m service.api`: serve on the host and port of the settings until SIGTERM."""

import asyncio
import errno
import gc
import logging
import math
import signal
import socket
import sys

import uvicorn
from pydantic import ValidationError

from service.api import logs
from service.api.app import create_app
from service.api.connections import Connection, most_connections, sweep
from service.api.identity import Audience
from service.settings import Settings

logger = logging.getLogger("service.api")

SWITCH_S = 0.0005
"""For so long scoring waits for the interpreter's lock while records are uploaded; by default it is ten times that."""

GARBAGE = 50_000
"""New objects after which garbage is looked for. What is made for leads goes by itself: Python's own 700 would have it
looked for in the midst of each large request."""


def main() -> int:
    """Exit code 0 after a clean stop, 1 when serving is impossible, 2 when the settings are wrong."""
    try:
        settings = Settings()  # values come from the environment
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            name = "_".join(["LEADSCORING", *map(str, problem["loc"])]).upper()
            print(f"{name}: {problem['msg']}", file=sys.stderr)
        return 2
    if settings.iap_audience_file:
        try:
            Audience(settings.iap_audience_file).read()
        except ValueError as error:
            print(f"LEADSCORING_IAP_AUDIENCE_FILE: {error}", file=sys.stderr)
            return 2
    logs.configure(settings.log_level)
    try:
        listener = socket.create_server((settings.host, settings.port), backlog=1024)
    except OSError as error:
        why = "is taken by another program" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
        print(f"{settings.host}:{settings.port} {why}; set LEADSCORING_PORT to another port", file=sys.stderr)
        return 1
    try:
        app = create_app(settings, Connection.admission)
    except OSError as error:
        print(f"LEADSCORING_SPOOL_DIR: {settings.spool_dir} cannot be used: {error.strerror}", file=sys.stderr)
        return 1
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing here looks at the caller's address
        # Longer than the load balancer keeps idle connections (600 s, fixed), so that it never reuses one that we
        # are closing: https://cloud.google.com/load-balancing/docs/https#timeouts_and_retries
        timeout_keep_alive=620,
        timeout_graceful_shutdown=math.ceil(settings.grace_seconds),
    )
    for stop in (signal.SIGTERM, signal.SIGINT):
        # uvicorn stops cleanly, then raises the signal again for whoever handled it before: a clean stop is a success.
        signal.signal(stop, lambda *_: sys.exit(0))
    if settings.iap_audience_file is None:
        logger.warning("no authentication: whoever reaches the port is answered", extra={"host": settings.host})
    logger.info("listening", extra={"host": settings.host, "port": listener.getsockname()[1]})
    Connection.most = most_connections(settings.max_connections)
    gc.freeze()  # what is there now stays: looking through it for garbage would hold up requests
    gc.set_threshold(GARBAGE)
    sys.setswitchinterval(SWITCH_S)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(_serve(uvicorn.Server(config), listener, settings.patience_seconds))
    return 0


async def _serve(server: uvicorn.Server, listener: socket.socket, client_timeout_s: float) -> None:
    sweeping = asyncio.create_task(sweep(server.server_state.connections, client_timeout_s))  # type: ignore[arg-type]
    try:
        await server.serve(sockets=[listener])
    finally:
        sweeping.cancel()


if __name__ == "__main__":
    sys.exit(main())
