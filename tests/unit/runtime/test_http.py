"""The operator's own endpoints, where anybody's pods may reach them."""

import asyncio
import contextlib
import socket

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from nnunet_operator.runtime.errors import Unreachable
from nnunet_operator.runtime.http import MOST_CONNECTIONS, Health, serve

LOOPBACK = "127.0.0.1"


def free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind((LOOPBACK, 0))
        second.bind((LOOPBACK, 0))
        return first.getsockname()[1], second.getsockname()[1]


async def status(port: int, path: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(f"http://{LOOPBACK}:{port}{path}") as answer:
        return answer.status


async def ended(reader: asyncio.StreamReader) -> bool:
    """Whether the other side has closed a connection."""
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(0.05):
            return await reader.read(1) == b""
        return False
    return reader.at_eof() or reader.exception() is not None


class Answered:
    """A client whose last answer is so many seconds old, and whose API server is away."""

    def __init__(self, age: float) -> None:
        self.last_answer = asyncio.get_running_loop().time() - age

    async def ping(self) -> None:
        raise Unreachable("connection refused")


@pytest.mark.parametrize(("age", "answer"), [(9.0, 200), (11.0, 503)])
async def test_an_api_server_that_answered_a_moment_ago_is_not_asked(age: float, answer: int) -> None:
    health = Health(Answered(age), lambda: None, lambda: None)  # type: ignore[arg-type]
    ports = free_ports()
    async with serve(LOOPBACK, *ports, health, CollectorRegistry()):
        assert await status(ports[0], "/readyz") == answer


async def test_connections_that_say_nothing_fill_no_memory_and_keep_nobody_out() -> None:
    health = Health(None, lambda: None, lambda: "not yet")  # type: ignore[arg-type]  # nobody asks it for more
    ports = free_ports()
    async with serve(LOOPBACK, *ports, health, CollectorRegistry()):
        held = []
        for _ in range(5 * MOST_CONNECTIONS):
            held.append(await asyncio.open_connection(LOOPBACK, ports[0]))
        assert (await status(ports[0], "/livez"), await status(ports[0], "/readyz")) == (200, 503)
        assert await status(ports[1], "/metrics") == 200
        over = await asyncio.gather(*(ended(reader) for reader, _ in held))
        assert over.count(False) <= MOST_CONNECTIONS and not over[-1], "the oldest were ended"
        for _, writer in held:
            writer.close()
        assert await status(ports[0], "/livez") == 200
