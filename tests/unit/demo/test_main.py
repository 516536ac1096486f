"""What a person reads when the demo fails."""

import signal
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from rich.console import Console

from hack import images
from hack.demo import __main__ as program
from hack.demo.beside import Beside
from hack.demo.story import STORIES, Story
from hack.images import ImageError
from hack.localcluster import ClusterError


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


class Failing:
    """A demo whose training stands still."""

    def __init__(self, console: Console, story: Story) -> None:
        self._console = console

    def run(self) -> None:
        raise program.DemoError("nothing new for 10 min: WaitingForGPU")

    def explain(self) -> None:
        self._console.print("--- pods")

    def down(self) -> None:
        self._console.print("Take everything down")


class Stuck(Failing):
    """One that can't be taken down either."""

    def down(self) -> None:
        raise RuntimeError("the mount is busy")


def test_the_reason_stands_last(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(program, "Demo", Failing)
    assert program.main() == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    assert lines == ["--- pods", "Take everything down", "The demo failed", "nothing new for 10 min: WaitingForGPU"]


@pytest.mark.parametrize(("arguments", "training"), [([], "brain"), (["recipe"], "brain-recipe")])
def test_what_is_trained_is_chosen_by_an_argument(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], training: str
) -> None:
    told: list[str] = []

    class Told(Failing):
        def __init__(self, console: Console, story: Story) -> None:
            super().__init__(console, story)
            told.append(story.training)

    monkeypatch.setattr(program, "Demo", Told)
    program.main(arguments)
    assert told == [training]


def test_it_is_said_also_where_nothing_can_be_taken_down(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "Demo", Stuck)
    with pytest.raises(RuntimeError, match="busy"):
        program.main()
    assert capsys.readouterr().out.splitlines()[-1] == "nothing new for 10 min: WaitingForGPU"


class Cold:
    """A cluster that is not up before somebody builds the images."""

    def __init__(self, building: threading.Event) -> None:
        self._building = building

    def up(self) -> None:
        if not self._building.wait(30):
            raise ClusterError("nobody builds the images beside it")
        raise ClusterError("that is enough of it")


def test_images_are_built_beside_kubernetes_and_nobody_waits_for_them_where_it_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    building = threading.Event()
    told: list[Any] = []

    def ensure(names: Sequence[str]) -> dict[str, str]:
        told.append(names)
        building.set()
        time.sleep(60)
        told.append("built")
        return {}

    monkeypatch.setattr(images, "ensure_tools", told.append)
    monkeypatch.setattr(images, "ensure", ensure)
    monkeypatch.setattr(program, "cluster_from_environment", lambda: Cold(building))
    with pytest.raises(ClusterError, match="that is enough of it"):
        program.Demo(Console(), STORIES["training"]).run()
    assert told == [("operator", "trainer")] * 2, "what they need is there before others install packages, too"


def test_what_is_made_beside_other_work_is_waited_for_with_its_error() -> None:
    def fail() -> None:
        raise ImageError("no space left")

    assert Beside(lambda: 7).result() == 7
    with pytest.raises(ImageError, match="no space left"):
        Beside(fail).result()
