"""Progress of running folds: which pods to ask, and what they last said."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace

import aiohttp

from nnunet_operator.core.local_copy import moved
from nnunet_operator.core.training import Training
from nnunet_operator.kube.views import PodView
from nnunet_operator.metrics import Metrics
from nnunet_operator.progress.model import LiveFacts
from nnunet_operator.progress.scrape import scrape
from nnunet_operator.runtime.keys import Key

log = logging.getLogger(__name__)

SCRAPE_TIMEOUT_SECONDS = 2.0
PATIENCE_SECONDS = 0.25
"""How long a look waits for answers. What comes later counts at the next look: a worker that waited for each silent pod
would be missing to all other trainings, and anybody's pods can be silent."""
_EARLY = 0.9
"""Share of the poll interval after which a look that comes early asks already."""


class Scraper:
    """Asks each running fold's pod at most once in a poll interval, and remembers the answer in between."""

    def __init__(self, session: aiohttp.ClientSession, poll_seconds: float, metrics: Metrics) -> None:
        self._session = session
        self._poll = poll_seconds
        self._metrics = metrics
        self._asked: dict[Key, dict[str, float]] = {}  # by training: pod UID -> loop time
        self._samples: dict[Key, dict[str, LiveFacts]] = {}  # by training: pod UID -> last answer
        self._moved: dict[Key, dict[str, float]] = {}  # by training: pod UID -> loop time when it last got on
        self._asking: dict[Key, dict[str, asyncio.Task[LiveFacts | None]]] = {}  # by training: pod UID -> open question

    async def samples(self, key: Key, training: Training, pods: Iterable[PodView]) -> Mapping[str, LiveFacts]:
        """Return the last answer of each running fold's pod by the pod's name, asking those that are due."""
        now = asyncio.get_running_loop().time()
        running = {pod.uid: pod for pod in pods if _is_running_fold(pod)}
        asked = {uid: at for uid, at in self._asked.get(key, {}).items() if uid in running}
        samples = {uid: sample for uid, sample in self._samples.get(key, {}).items() if uid in running}
        moved = {uid: at for uid, at in self._moved.get(key, {}).items() if uid in running}
        for uid, answer in (await self._answers(key, training, running, asked, now)).items():
            known = samples.get(uid)
            if answer is None or (answer.facts is None and known is not None):
                continue  # as good as silence
            if known is None or _place(known) != _place(answer):
                moved[uid] = now
            samples[uid] = answer
        if not running:
            self.forget(key)
            return {}
        self._asked[key], self._samples[key], self._moved[key] = asked, samples, moved
        # Also for a pod that has stopped answering: one that is frozen answers no more than it trains.
        return {running[uid].name: replace(sample, still_seconds=now - moved[uid]) for uid, sample in samples.items()}

    async def _answers(
        self, key: Key, training: Training, running: Mapping[str, PodView], asked: dict[str, float], now: float
    ) -> Mapping[str, LiveFacts | None]:
        """Ask the pods that are due, note in `asked` which those are, and return what has been answered by now."""
        asking = self._asking.setdefault(key, {})
        for uid in asking.keys() - running.keys():
            asking.pop(uid).cancel()
        for uid, pod in running.items():
            if uid not in asking and now - asked.get(uid, float("-inf")) >= self._poll * _EARLY:
                asked[uid] = now
                asking[uid] = asyncio.create_task(self._scrape(training, pod), name=f"facts of {pod.name}")
        if asking:
            await asyncio.wait(asking.values(), timeout=PATIENCE_SECONDS)
        return {uid: asking.pop(uid).result() for uid, task in list(asking.items()) if task.done()}

    def due_in(self, key: Key) -> float | None:
        """Return the seconds until the first of a training's pods is to be asked again; None where none runs.

        A look in between, for another reason, must not put that off: the status would be older than it promises.
        """
        asked = self._asked.get(key)
        if not asked:
            return None
        # An open question has an answer, or none, after its time limit.
        waits = [SCRAPE_TIMEOUT_SECONDS if uid in self._asking.get(key, {}) else self._poll for uid in asked]
        times = (at + wait for at, wait in zip(asked.values(), waits, strict=True))
        return max(0.0, min(times) - asyncio.get_running_loop().time())

    def forget(self, key: Key) -> None:
        """Drop what is remembered of a training."""
        self._asked.pop(key, None)
        self._samples.pop(key, None)
        self._moved.pop(key, None)
        for task in self._asking.pop(key, {}).values():
            task.cancel()

    async def _scrape(self, training: Training, pod: PodView) -> LiveFacts | None:
        try:
            sample = await scrape(
                self._session, pod.ip, timeout=SCRAPE_TIMEOUT_SECONDS, uid=training.uid, fold=pod.fold
            )
        except Exception:  # what a pod answers must not keep the rest of its training from being looked after
            log.exception("the facts of pod %s can't be read", pod.name)
            sample = None
        self._metrics.scrapes.labels("ok" if sample and sample.facts else "failed").inc()
        return sample


def _place(sample: LiveFacts) -> object:
    """Return what is another as long as a fold gets on: its epoch, and before the first what it has copied."""
    return (sample.facts.epoch, moved(sample.facts.local_copy)) if sample.facts else None


def _is_running_fold(pod: PodView) -> bool:
    return bool(pod.fold and pod.ip) and pod.running and not pod.deleting
