"""Puts the parts together and runs them until the process is told to stop or one of them dies."""

import asyncio
import gc
import logging
import signal
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import kopf

from nnunet_operator.metrics import Metrics, package_version
from nnunet_operator.runtime.cache import Cache
from nnunet_operator.runtime.client import Client, load_configuration
from nnunet_operator.runtime.complaints import ComplaintFinder
from nnunet_operator.runtime.feed import Feed
from nnunet_operator.runtime.http import Health, serve
from nnunet_operator.runtime.known import Known
from nnunet_operator.runtime.patience import USUAL, Patience
from nnunet_operator.runtime.policies import PolicyBook
from nnunet_operator.runtime.policy_use import PolicyKeeper
from nnunet_operator.runtime.queue import WorkQueue
from nnunet_operator.runtime.reconciler import Reconciler
from nnunet_operator.runtime.recorder import Recorder
from nnunet_operator.runtime.resync import Resync
from nnunet_operator.runtime.scraper import Scraper
from nnunet_operator.runtime.watches import Watches, kopf_settings
from nnunet_operator.runtime.workers import work
from nnunet_operator.settings import Settings

log = logging.getLogger(__name__)

DRAIN_SECONDS = 10.0
"""Time that looks in progress have to end after SIGTERM."""

Register = Callable[[kopf.OperatorRegistry, Feed], None]


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
        session = await stack.enter_async_context(aiohttp.ClientSession())
        cache, queue = Cache(), WorkQueue(metrics)
        book, recorder = PolicyBook(client, cache), Recorder(client)
        keeper = PolicyKeeper(client, cache, book, recorder, metrics, patience)
        metrics.tell(Known(cache.trainings, book))
        feed = Feed(cache, queue, keeper.changed, patience)
        scraper = Scraper(session, settings.progress_poll_seconds, metrics)
        complaints = ComplaintFinder(client, patience)
        options = settings.options()
        reconciler = Reconciler(
            client, cache, scraper, complaints, recorder, book, keeper, options, feed.doubt, patience
        )
        watches = Watches(
            client,
            lambda registry: register(registry, feed),
            settings.watch_namespaces,
            kopf_settings(settings.request_timeout_seconds),
            metrics,
            feed.doubt,
        )
        resync = Resync(client, cache, feed, settings.watch_namespaces, metrics, watches.restart, patience)
        team = _Team()
        health = Health(client, team.problem, lambda: None if resync.synced else "the first lists are not complete")
        ports = settings.health_port, settings.metrics_port
        await stack.enter_async_context(serve(settings.bind_address, *ports, health, metrics.registry))
        log.info("nnunet-operator %s watches %s", package_version(), ", ".join(settings.watch_namespaces) or "all")
        if not await _unless(stop, resync.first()):
            return
        gc.collect()
        gc.freeze()  # what was imported and listed stays: no need to walk it at each collection
        for number in range(settings.workers):
            team.start(f"worker {number}", work(queue, reconciler.reconcile, metrics))
        team.start("policies", keeper.run())
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


class _Team:
    """The tasks that run for ever. Held here, because the event loop itself would let them vanish."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, name: str, coroutine: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(coroutine, name=name))

    def problem(self) -> str | None:
        """Return which task has ended, or None."""
        ended = next((task for task in self._tasks if task.done()), None)
        return f"{ended.get_name()} has ended" if ended else None

    async def watch(self, stop: asyncio.Event) -> str | None:
        """Wait until `stop` is set (None), or a task ends (what happened)."""
        stopping = asyncio.create_task(stop.wait())
        done, _ = await asyncio.wait([stopping, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if stop.is_set():
            return None
        task = next(task for task in done if task is not stopping)
        error = None if task.cancelled() else task.exception()
        log.critical("%s has ended, which it never should", task.get_name(), exc_info=error)
        return f"{task.get_name()} has ended: {error or 'without an error'}"

    async def finish(self, name: str, seconds: float) -> None:
        """Wait for tasks to end by themselves, at most `seconds`."""
        tasks = [task for task in self._tasks if task.get_name().startswith(name)]
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            log.warning("%s did not end within %g s and is cancelled", task.get_name(), seconds)

    async def cancel(self) -> None:
        """End all tasks."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


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
