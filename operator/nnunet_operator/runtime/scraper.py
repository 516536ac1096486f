"""Progress of running folds: which pods to ask, and what they last said."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace

import aiohttp

from nnunet_operator.core.training import Training
from nnunet_operator.kube.views import PodView
from nnunet_operator.metrics import Metrics
from nnunet_operator.progress.model import LiveFacts
from nnunet_operator.progress.scrape import scrape
from nnunet_operator.runtime.keys import Key

log = logging.getLogger(__name__)

SCRAPE_TIMEOUT_SECONDS = 2.0
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
        self._moved: dict[Key, dict[str, float]] = {}  # by training: pod UID -> loop time of the last epoch seen

    async def samples(self, key: Key, training: Training, pods: Iterable[PodView]) -> Mapping[str, LiveFacts]:
        """Return the last answer of each running fold's pod by the pod's name, asking those that are due."""
        now = asyncio.get_running_loop().time()
        running = {pod.uid: pod for pod in pods if _is_running_fold(pod)}
        asked = {uid: at for uid, at in self._asked.get(key, {}).items() if uid in running}
        samples = {uid: sample for uid, sample in self._samples.get(key, {}).items() if uid in running}
        moved = {uid: at for uid, at in self._moved.get(key, {}).items() if uid in running}
        due = [uid for uid in running if now - asked.get(uid, float("-inf")) >= self._poll * _EARLY]
        answers = await asyncio.gather(*(self._scrape(training, running[uid]) for uid in due))
        for uid, answer in zip(due, answers, strict=True):
            asked[uid] = now
            known = samples.get(uid)
            if answer is None or (answer.facts is None and known is not None):
                continue  # as good as silence
            if known is None or _epoch(known) != _epoch(answer):
                moved[uid] = now
            samples[uid] = answer
        if not running:
            self.forget(key)
            return {}
        self._asked[key], self._samples[key], self._moved[key] = asked, samples, moved
        # Also for a pod that has stopped answering: one that is frozen answers no more than it trains.
        return {running[uid].name: replace(sample, still_seconds=now - moved[uid]) for uid, sample in samples.items()}

    def due_in(self, key: Key) -> float | None:
        """Return the seconds until the first of a training's pods is to be asked again; None where none runs.

        A look in between, for another reason, must not put that off: the status would be older than it promises.
        """
        asked = self._asked.get(key)
        if not asked:
            return None
        return max(0.0, min(asked.values()) + self._poll - asyncio.get_running_loop().time())

    def forget(self, key: Key) -> None:
        """Drop what is remembered of a training."""
        self._asked.pop(key, None)
        self._samples.pop(key, None)
        self._moved.pop(key, None)

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


def _epoch(sample: LiveFacts) -> int | None:
    return sample.facts.epoch if sample.facts else None


def _is_running_fold(pod: PodView) -> bool:
    return bool(pod.fold and pod.ip) and pod.running and not pod.deleting
