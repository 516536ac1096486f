"""What a person reads when the demo fails."""

import signal
from collections.abc import Iterator

import pytest
from rich.console import Console

from hack.demo import __main__ as program
from hack.demo.story import Story


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
