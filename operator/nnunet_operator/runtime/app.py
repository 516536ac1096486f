"""Puts the parts together and runs them until the process is told to stop or one of them dies."""

import asyncio
import gc
import logging
import signal
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import kopf

from nnunet_operator.metrics import Metrics, package_version
from nnunet_operator.runtime.client.client import Client, load_configuration
from nnunet_operator.runtime.controllers.parts import Parts
from nnunet_operator.runtime.controllers.policy_cache import PolicyCache
from nnunet_operator.runtime.controllers.registry import CONTROLLERS, INFORMERS
from nnunet_operator.runtime.http import Health, serve
from nnunet_operator.runtime.informers.controller import Controller
from nnunet_operator.runtime.informers.feed import Feed, Take
from nnunet_operator.runtime.informers.informer import Cache, Informer
from nnunet_operator.runtime.informers.resync import Resync
from nnunet_operator.runtime.informers.watches import Watches, kopf_settings
from nnunet_operator.runtime.known import Known
from nnunet_operator.runtime.patience import USUAL, Patience
from nnunet_operator.runtime.queue.workers import work
from nnunet_operator.runtime.queue.workqueue import WorkQueue
from nnunet_operator.runtime.team import Team
from nnunet_operator.settings import Settings

log = logging.getLogger(__name__)

DRAIN_SECONDS = 10.0
"""Time that reconciles in progress have to end after SIGTERM."""

Register = Callable[[kopf.OperatorRegistry, Sequence[Informer], Take], None]


class OperatorDied(Exception):
    """A part that should run for ever has ended."""


async def run_operator(settings: Settings, register: Register, patience: Patience = USUAL) -> None:
    """Run until SIGTERM or SIGINT. Raises OperatorDied, and OSError where a port is taken."""
    stop = asyncio.Event()
    _on_signals(stop)
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        client = Client(await load_configuration(), settings.request_timeout_seconds, metrics)
        await stack.enter_async_context(client)
        # Without a limit of connections: pods that take theirs and stay silent would let no one else's be asked.
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        cache, queue = Cache(INFORMERS), WorkQueue(metrics, patience)
        feed = Feed(cache, queue)
        policies = PolicyCache(client, cache)
        metrics.tell(Known(cache, policies))
        parts = Parts(client, feed, metrics, policies, session, settings, patience)
        controllers = [make(parts) for make in CONTROLLERS]
        feed.serve(controllers)
        watches = _watches(parts, register)
        resync = Resync(client, feed, settings.watch_namespaces, metrics, watches.restart, patience)
        team = Team()
        unready = lambda: None if resync.synced else "the first lists are not complete"  # noqa: E731
        health = Health(client, team.problem, unready, patience)
        ports = settings.health_port, settings.metrics_port
        await stack.enter_async_context(serve(settings.bind_address, *ports, health, metrics.registry))
        log.info("nnunet-operator %s watches %s", package_version(), ", ".join(settings.watch_namespaces) or "all")
        if not await _unless(stop, resync.first()):
            return
        gc.collect()
        gc.freeze()  # what was imported and listed stays: no need to walk it at each collection
        _start_workers(team, queue, controllers, metrics)
        team.start("resync", resync.run(settings.resync_seconds))
        watches_stop = asyncio.Event()
        team.start("watches", watches.run(watches_stop, lambda: _on_signals(stop)))
        dead = await team.watch(stop)
        queue.stop()
        await team.finish("worker", DRAIN_SECONDS)
        watches_stop.set()
        await team.finish("watches", DRAIN_SECONDS)
        await team.cancel()
        if dead:
            raise OperatorDied(dead)
        log.info("stopped")
    asyncio.get_running_loop().set_exception_handler(_of_leftovers)


def _watches(parts: Parts, register: Register) -> Watches:
    return Watches(
        parts.client,
        lambda registry: register(registry, INFORMERS, parts.feed.take),
        parts.settings.watch_namespaces,
        kopf_settings(parts.settings.request_timeout_seconds, INFORMERS),
        parts.metrics,
        parts.feed.doubt,
        parts.patience,
    )


def _start_workers(team: Team, queue: WorkQueue, controllers: Sequence[Controller], metrics: Metrics) -> None:
    """Start as many workers as all controllers ask for together: none of them can take another's."""
    for controller in controllers:
        queue.share(controller.resource.kind, controller.at_once)
    reconciles = {controller.resource.kind: controller.reconcile for controller in controllers}
    for number in range(sum(controller.at_once for controller in controllers)):
        team.start(f"worker {number}", work(queue, reconciles, metrics))


def _on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


def _of_leftovers(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Take what asyncio says while it closes the generators of kopf's watches, all at once, for no error.

    A watch that ends while it hands over an event leaves its generators open; one that is closed before the one that
    it is within complains. Nothing runs any more by then.
    """
    if "asyncgen" in context:
        log.debug("left over at the end: %s", context["message"])
    else:
        loop.default_exception_handler(context)


async def _unless(stop: asyncio.Event, coroutine: Coroutine[Any, Any, None]) -> bool:
    """Run a coroutine to its end (True), unless `stop` is set before (False)."""
    task, stopping = asyncio.create_task(coroutine), asyncio.create_task(stop.wait())
    await asyncio.wait([task, stopping], return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        stopping.cancel()
        await task
        return True
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return False
