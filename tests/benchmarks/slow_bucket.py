"""A bucket that is far away: a real fake-gcs-server behind a proxy that keeps each request waiting."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from tests.conftest import free_port, storage_server, wait_for

PIECE = 1 << 20


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: int, delay_s: float) -> None:
    """One connection. A request begins with the first bytes that the client sends after an answer."""
    from_server, to_server = await asyncio.open_connection("127.0.0.1", server, limit=PIECE)
    answered = True

    async def requests() -> None:
        nonlocal answered
        while data := await reader.read(PIECE):
            if answered:
                answered = False
                await asyncio.sleep(delay_s)
            to_server.write(data)
            await to_server.drain()
        to_server.close()

    async def answers() -> None:
        nonlocal answered
        while data := await from_server.read(PIECE):
            answered = True
            writer.write(data)
            await writer.drain()
        writer.close()

    with suppress(ConnectionError):
        await asyncio.gather(requests(), answers())


def _serve(port: int, server: int, delay_s: float) -> None:
    async def forever() -> None:
        async with await asyncio.start_server(
            lambda reader, writer: _relay(reader, writer, server, delay_s), "127.0.0.1", port, limit=PIECE
        ) as proxy:
            await proxy.serve_forever()

    asyncio.run(forever())


@contextmanager
def slow_bucket(delay_s: float) -> Iterator[tuple[str, str]]:
    """The addresses of the server and of the proxy before it, which is a process of its own."""
    port = free_port()
    with storage_server(f"127.0.0.1:{port}") as server:
        command = [sys.executable, "-m", "tests.benchmarks.slow_bucket", str(port), str(urlsplit(server).port)]
        with subprocess.Popen([*command, str(delay_s)]) as proxy:
            try:
                address = f"http://127.0.0.1:{port}"
                wait_for(f"{address}/storage/v1/b?project=p", proxy)
                yield server, address
            finally:
                proxy.terminate()


@contextmanager
def reached_at(address: str) -> Iterator[None]:
    """Buckets that are opened in the block are at this address."""
    before = os.environ.get("STORAGE_EMULATOR_HOST")
    os.environ["STORAGE_EMULATOR_HOST"] = address
    try:
        yield
    finally:
        del os.environ["STORAGE_EMULATOR_HOST"]
        if before is not None:
            os.environ["STORAGE_EMULATOR_HOST"] = before


if __name__ == "__main__":
    _serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
