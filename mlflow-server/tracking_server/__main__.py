"""`python -m tracking_server serve|migrate`: all settings are environment variables."""

import argparse
import os
import signal
import sys
from typing import NoReturn

import uvicorn
from pydantic import ValidationError

from tracking_server.settings import Migration, Server, Unsafe, mlflow_environment, problems, refuse_unsafe

EPILOG = """\
Settings are environment variables that start with TRACKING_; mlflow-server/README.md lists them. No option takes a
password, for others can read command lines.

examples:
  docker run IMAGE migrate     bring the schema up to date, once, before servers of a new version
  docker run IMAGE serve       serve until SIGTERM; changes no schema

exit codes: 0 done, 1 the database cannot be used, 2 wrong settings
"""


def main(arguments: list[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(
        prog="tracking_server",
        description="MLflow's server, or the migration of its database.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("command", choices=("serve", "migrate"))
    command = parser.parse_args(arguments).command
    # MLflow reports its use to its makers as soon as it is imported, unless told not to.
    environment = dict(os.environ)
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    try:
        settings: Server | Migration = Server() if command == "serve" else Migration()
    except ValidationError as error:
        print(problems(error), file=sys.stderr)
        return 2
    from sqlalchemy.exc import SQLAlchemyError

    from tracking_server.database import Unusable, check_room, check_schema, engine, wait
    from tracking_server.login import LoginRefused, uri
    from tracking_server.migrate import migrate

    try:
        ours = mlflow_environment(settings, uri(settings)) if isinstance(settings, Server) else {}
        refuse_unsafe(environment, ours)
        if isinstance(settings, Migration):
            migrate(settings, say)
            return 0
        wait(settings, say)
        check_schema(engine(settings))
        check_room(engine(settings), settings)
    except Unsafe as error:
        print(error, file=sys.stderr)
        return 2
    except (Unusable, LoginRefused, SQLAlchemyError) as error:
        say(f"{command}: {error}")
        return 1
    os.environ.update(ours)
    for stop in (signal.SIGTERM, signal.SIGINT):
        # uvicorn stops cleanly, then raises the signal again for whoever handled it before: a clean stop is a success.
        signal.signal(stop, lambda *_: end(0))
    say(f"serving on {settings.host}:{settings.port} with {settings.workers} workers")
    uvicorn.run(
        "tracking_server.app:app",
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=settings.grace_seconds,
    )
    return 0


def end(code: int) -> NoReturn:
    """End now: taking down all that MLflow imported takes Python seconds of the few that are left after SIGTERM."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def say(line: str) -> None:
    """A line for the log."""
    print(f"tracking_server: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    end(main())
