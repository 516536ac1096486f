"""Looks at one training again and again, and draws it."""

import time
from datetime import UTC, datetime

from rich.console import Console, RenderableType
from rich.live import Live

from nnunet_cli.errors import CliError
from nnunet_cli.kube.cluster import Cluster
from nnunet_cli.kube.trainings import events_on, find_training, read_training
from nnunet_cli.kube.watched import Watched, watched
from nnunet_cli.text.words import duration
from nnunet_cli.watch.view import History, live

FRAMES_PER_SECOND = 2


class Follower:
    """What is known of a training, and how old that is."""

    def __init__(self, cluster: Cluster, namespace: str, name: str) -> None:
        """Read it for the first time. Raises CliError where that can't be done."""
        self._cluster, self._namespace, self._name = cluster, namespace, name
        body = read_training(cluster, namespace, name)
        self.found: Watched = watched(body, events_on(cluster, body))
        self.history = History()
        self.history.add(self.found.status)
        self.gone = False
        """Whether it was deleted."""
        self._answered = time.monotonic()
        self._complaint = ""

    @property
    def over(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.gone or self.found.finished

    @property
    def notice(self) -> str:
        """What is to be said of the view itself: that it is old, or the last."""
        if self.gone:
            return f"training {self._name} was deleted; this is how it was seen last"
        if self._complaint:
            silence = duration(time.monotonic() - self._answered)
            return f"no news for {silence}, this is how it was before; still trying. {self._complaint}"
        return ""

    def look(self) -> None:
        """Read it again. A cluster that does not answer leaves everything as it was, but for the notice."""
        try:
            body = find_training(self._cluster, self._namespace, self._name)
            # Another one of that name is not the one that is followed.
            if body is None or body["metadata"]["uid"] != self.found.uid:
                self.gone, self._complaint = True, ""
                return
            self.found = watched(body, events_on(self._cluster, body))
        except CliError as error:
            self._complaint = str(error)
            return
        self.history.add(self.found.status)
        self._answered, self._complaint = time.monotonic(), ""


def frame(follower: Follower, height: int | None) -> RenderableType:
    """Return the view of now."""
    return live(follower.found, datetime.now(UTC), follower.history, follower.notice, height)


def follow(follower: Follower, console: Console, interval_seconds: float) -> None:
    """Show the training until it is complete, has failed, or is gone."""
    with Live(
        get_renderable=lambda: frame(follower, console.height),
        console=console,
        refresh_per_second=FRAMES_PER_SECOND,
    ):
        while not follower.over:
            time.sleep(interval_seconds)
            follower.look()
