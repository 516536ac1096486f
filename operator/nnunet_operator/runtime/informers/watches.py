"""kopf as the source of events, and nothing else: it watches, and writes nothing.

What is set here was measured: with kopf's defaults each object would get annotations or a finalizer, a worker
would stay in memory for each, and an API server that is away for a minute would end the process.
"""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

import aiohttp
import kopf

from nnunet_operator.metrics import Metrics
from nnunet_operator.runtime.client.client import Client
from nnunet_operator.runtime.errors import retry_after
from nnunet_operator.runtime.informers.informer import Informer
from nnunet_operator.runtime.lasting import Backoff, is_cancelled
from nnunet_operator.runtime.patience import USUAL, Patience

log = logging.getLogger(__name__)

RESTART_SECONDS = 2.0
"""Time between the end of kopf by an error and its next start; it doubles with each further one."""
LONGEST_RESTART_SECONDS = 60.0
SOUND_SECONDS = 60.0
"""Time that kopf has to run for its next end to count as a first one."""
WATCH_INTERVAL_SECONDS = 1.0
"""Least time between two watches of the same objects."""
CHUNK = 25
"""Objects that kopf asks for at once when a watch begins. It does so by number alone."""
END_SECONDS = 20.0
"""How long the end of kopf may take; it waits 5 s for its tasks, and without a limit for those that it cancels then."""


class _NoDiffBase(kopf.DiffBaseStorage):
    def build(self, **_: Any) -> kopf.BodyEssence:
        # kopf would copy each object deeply, to compare it with what nobody stores: a quarter of the operator's time.
        return kopf.BodyEssence({})

    def fetch(self, *, body: kopf.Body) -> None:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        pass


class _NoProgress(kopf.ProgressStorage):
    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        pass

    def purge(self, **_: Any) -> None:
        pass

    def touch(self, **_: Any) -> None:
        pass

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence


class _Backoffs:
    """Delays after errors, without an end: after the last of a finite list kopf gives up and ends the process."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((0.2, 0.5, 1, 2), itertools.repeat(4))


def kopf_settings(request_timeout_seconds: float, informers: Iterable[Informer]) -> kopf.OperatorSettings:
    """Return settings with which kopf only watches, and of each kind only what has its label."""
    settings = kopf.OperatorSettings()
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.persistence.progress_storage = _NoProgress()
    settings.posting.enabled = False
    settings.scanning.disabled = True  # or it would want to watch CustomResourceDefinitions and namespaces
    settings.peering.standalone = True
    settings.queueing.idle_timeout = 0.5
    settings.queueing.exit_timeout = 0.5
    settings.watching.initial_streaming = False
    settings.watching.chunk_size = CHUNK
    for informer in informers:
        if informer.selector:
            resource = informer.resource
            settings.watching.label_selectors[resource.group, resource.version, resource.plural] = informer.selector
    settings.networking.request_timeout = request_timeout_seconds
    settings.networking.connect_timeout = request_timeout_seconds
    settings.networking.error_backoffs = _Backoffs()
    settings.process.ultimate_exiting_timeout = None  # it would kill the process after an end that was mended
    return settings


class _Pace:
    """Spaces out watches that the API server ends as soon as they begin: kopf starts the next one at once.

    Leaves the API server alone for as long as it asks for; kopf does so after a 429 only, and can't read a date. Tells
    when the API server answers again after it did not: it may have lost what was written.
    """

    def __init__(self, reconnected: Callable[[], None], refused_seconds: float = USUAL.refused) -> None:
        self._next: dict[str, float] = {}
        self._reconnected = reconnected
        self._refused_seconds = refused_seconds
        self._lost = False

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        loop, path = asyncio.get_running_loop(), request.url.path
        start = max(loop.time(), self._next.get(path, 0.0))
        if request.url.query.get("watch") == "true":
            self._next[path] = start + WATCH_INTERVAL_SECONDS
        await asyncio.sleep(start - loop.time())
        try:
            response = await handler(request)
        except (aiohttp.ClientError, OSError):
            self._lost = True
            raise
        if response.status >= 500:
            self._lost = True
        elif self._lost and response.status < 400:
            self._lost = False
            self._reconnected()
        wait = retry_after(response.headers) if response.status in (429, 503) else None
        if response.status in (403, 404):
            wait = self._refused_seconds
        if wait is not None:
            self._next[path] = max(self._next.get(path, 0.0), loop.time() + wait)
        if wait is not None and response.status in (429, 503):
            response.close()
            raise aiohttp.ClientConnectionError(f"the API server asks to wait {wait:g} s (HTTP {response.status})")
        return response


class _Credentials:
    """Gives each request the credentials of the moment; a token in a pod is replaced every hour.

    A refusal of them (401, also from an API server that has lost its authenticator for a while) looks to kopf like a
    broken connection, which it tries again for ever. Its own way, to log in anew, was seen to leave a watch of it
    waiting for a lock that nobody gives back.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        request.headers.update(await self._client.headers())
        response = await handler(request)
        if response.status == 401:
            response.close()
            raise aiohttp.ClientConnectionError("the API server does not take the operator's credentials (HTTP 401)")
        return response


async def _end_watchers(others: Collection[asyncio.Task[Any]]) -> None:
    """End kopf's watchers before it cancels all of its tasks at once.

    A watcher waits at its end for helpers of its own. Cancelled together with these, while it has an event in hand, it
    was seen to wait for ever, and with it the operator for its next start.
    """
    mine = asyncio.all_tasks() - set(others)
    watchers = [task for task in mine if task.get_name().startswith("watcher for ")]
    for task in watchers:
        task.cancel()
    if watchers:
        await asyncio.wait(watchers, timeout=END_SECONDS)


async def _set_after(halt: asyncio.Event, reason: asyncio.Event) -> None:
    """Set an event as soon as another one is set."""
    await reason.wait()
    halt.set()


class Watches:
    """Runs kopf, and runs it again when it ends by an error."""

    def __init__(
        self,
        client: Client,
        register: Callable[[kopf.OperatorRegistry], None],
        namespaces: Collection[str],
        settings: kopf.OperatorSettings,
        metrics: Metrics,
        reconnected: Callable[[], None] = lambda: None,
        patience: Patience = USUAL,
    ) -> None:
        """`register` adds the handlers to a registry; `reconnected` is called when the API server answers again."""
        self._reconnected = reconnected
        self._again = asyncio.Event()
        self._client = client
        self._register = register
        self._namespaces = namespaces
        self._settings = settings
        self._metrics = metrics
        self._patience = patience

    async def run(self, stop: asyncio.Event, started: Callable[[], None]) -> None:
        """Watch until `stop` is set. `started` is called each time that kopf has taken the signal handlers."""
        loop, backoff = asyncio.get_running_loop(), Backoff(RESTART_SECONDS, LONGEST_RESTART_SECONDS)
        while not stop.is_set():
            began = loop.time()
            problem = await self._run_guarded(stop, started)
            if stop.is_set():
                return
            self._metrics.watch_restarts.inc()
            if self._again.is_set():
                self._again.clear()
                continue
            if loop.time() - began > SOUND_SECONDS:
                backoff.succeeded()
            delay = backoff.failed()
            log.error("the watches ended and are built up anew in %.1f s: %s", delay, problem)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await stop.wait()

    def restart(self) -> None:
        """Have all watches list anew and go on from there."""
        self._again.set()

    async def _run_guarded(self, stop: asyncio.Event, started: Callable[[], None]) -> str:
        """Run kopf until it ends; return why it did."""
        halt = asyncio.Event()
        halting = [asyncio.create_task(_set_after(halt, reason)) for reason in (stop, self._again)]
        try:
            await self._run_once(halt, started)
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            return "something that they wait for was cancelled"
        except Exception as error:
            log.debug("the end of the watches", exc_info=error)
            return str(error) or type(error).__name__
        finally:
            for task in halting:
                task.cancel()
        return "kopf has ended without an error"

    async def _run_once(self, stop: asyncio.Event, started: Callable[[], None]) -> None:
        registry = kopf.OperatorRegistry()
        self._register(registry)
        kopf.on.login(registry=registry)(self._login)
        # kopf cancels all tasks of the loop when it ends, save for these.
        others = asyncio.all_tasks()
        tasks = await kopf.spawn_tasks(
            registry=registry,
            settings=self._settings,
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
            standalone=True,
            stop_flag=stop,
        )
        started()
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        await _end_watchers(others)
        async with asyncio.timeout(END_SECONDS):
            await kopf.run_tasks(tasks, ignored=others)

    async def _login(self, **_: Any) -> kopf.AiohttpSession:
        """Return a session for kopf with the connection settings of the operator's client."""
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._client.ssl_context),
            middlewares=(_Pace(self._reconnected, self._patience.refused), _Credentials(self._client)),
        )
        return kopf.AiohttpSession(server=self._client.configuration.host, aiohttp_session=session)
