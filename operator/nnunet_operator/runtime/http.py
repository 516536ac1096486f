"""The operator's HTTP endpoints: /livez and /readyz on one port, /metrics on another."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from nnunet_operator.runtime.client.client import Client
from nnunet_operator.runtime.errors import ApiError
from nnunet_operator.runtime.patience import USUAL, Patience

log = logging.getLogger(__name__)

PING_SECONDS = 3.0

MOST_CONNECTIONS = 64
"""At the same time, on each port. Whoever reaches them could fill the memory of the operator, which serves all."""

Problem = Callable[[], str | None]
"""Returns what is wrong, or None."""


class Health:
    """Answers the probes of the kubelet."""

    def __init__(self, client: Client, dead: Problem, unready: Problem, patience: Patience = USUAL) -> None:
        """`dead` says why the process should be replaced, `unready` why it can't work yet."""
        self._client = client
        self._dead = dead
        self._unready = unready
        self._patience = patience

    async def live(self, _: web.Request) -> web.Response:
        """Answer /livez: that this is answered at all shows that the event loop runs."""
        return _answer(self._dead())

    async def ready(self, _: web.Request) -> web.Response:
        """Answer /readyz."""
        return _answer(self._dead() or self._unready() or await self._unreachable())

    async def _unreachable(self) -> str | None:
        now = asyncio.get_running_loop().time()
        if now - self._client.last_answer < self._patience.sign_of_life:
            return None
        try:
            async with asyncio.timeout(PING_SECONDS):
                await self._client.ping()
        except ApiError:
            return None  # an answer, too
        except Exception as error:  # whatever it is, the probe has to say it
            return f"the API server does not answer: {error or type(error).__name__}"
        return None


def _answer(problem: str | None) -> web.Response:
    return web.Response(text=f"{problem or 'ok'}\n", status=503 if problem else 200)


def _metrics(registry: CollectorRegistry) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return metrics


def _few(server: web.Server) -> Callable[[], asyncio.Protocol]:
    """Return what takes connections, and ends the oldest for one too many: an honest one lasts milliseconds."""

    def taken() -> asyncio.Protocol:
        transports = [each.transport for each in server.connections]
        alive = [each for each in transports if each is not None and not each.is_closing()]
        if len(alive) >= MOST_CONNECTIONS:
            alive[0].abort()
        return server()

    return taken


@asynccontextmanager
async def serve(
    address: str, health_port: int, metrics_port: int, health: Health, registry: CollectorRegistry
) -> AsyncIterator[None]:
    """Serve the endpoints while the block runs. Raises OSError where a port is taken."""
    probes, numbers = web.Application(), web.Application()
    probes.router.add_get("/livez", health.live)
    probes.router.add_get("/readyz", health.ready)
    numbers.router.add_get("/metrics", _metrics(registry))
    runners: list[web.AppRunner] = []
    listening: list[asyncio.Server] = []
    try:
        for application, port in ((probes, health_port), (numbers, metrics_port)):
            runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
            runners.append(runner)
            await runner.setup()
            assert runner.server is not None
            factory = _few(runner.server)
            listening.append(await asyncio.get_running_loop().create_server(factory, address, port, reuse_address=True))
        yield
    finally:
        for server in listening:
            server.close()
        for runner in runners:
            await runner.cleanup()
