"""Following the logs of a training to its end: what begins later, what is begun anew, what breaks off."""

from collections.abc import Iterator
from typing import Any

import pytest

from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.kube.answer import Answer, Refused
from nnunet_cli.kube.pods import Pod, Wanted
from nnunet_cli.kube.watched import Watched
from nnunet_cli.logs.following import Following
from tests.support.made_statuses import condition, fold, watched
from tests.unit.cli.test_logs import pod

WAITS = watched(phase="WaitingForGPU", conditions=[condition("Progressing", "WaitingForGPU", "no GPU", "False")])
TRAINS = watched(phase="Training", folds=[fold("0"), fold("1")])
DONE = watched(phase="Completed", conditions=[condition("Complete", "TrainingComplete", "done")])
FAILED = watched(phase="Failed", conditions=[condition("Failed", "WrongData", "no such dataset")])

Look = tuple[Watched | Exception | None, list[Pod]]


class Course:
    """A training that is another one at each look; each pod says its name, and breaks off where it is told to."""

    def __init__(self, *looks: Look, **breaks: Exception) -> None:
        self._looks, self._breaks = list(looks), breaks
        self.since: list[int | None] = []

    def training(self) -> Watched | None:
        found = self._looks[0][0]
        if isinstance(found, Exception):
            self._looks.pop(0)
            raise found
        return found

    def pods(self) -> list[Pod]:
        pods = self._looks[0][1]
        if len(self._looks) > 1:
            self._looks.pop(0)
        return pods

    def log(self, pod: Pod, tail: int | None, since: int | None) -> Iterator[str]:
        self.since.append(since)
        name = pod["metadata"]["name"]
        yield f"{name} {'on' if since else 'begins'}"
        if not since and name in self._breaks:
            raise self._breaks[name]


def followed(course: Course, wanted: Wanted | None = None) -> tuple[Watched | None, list[str], list[str]]:
    lines: list[str] = []
    told: list[str] = []
    over = Following(course, wanted or Wanted(), None, lines.append, told.append, 0.05).run()
    return over, lines, told


PLAN, PLANNED = pod("plan", "plan", 0), pod("plan", "plan", 0, code=0)
FOLD0, FOLD1 = pod("fold0", "fold", 2, fold="0"), pod("fold1", "fold", 3, fold="1")
AGAIN = pod("again", "fold", 6, fold="0")
KILLED = pod("fold0", "fold", 2, code=137, fold="0")
EVALUATES = pod("evaluate", "evaluate", 9, code=0)


def test_from_planning_to_the_end_with_folds_and_what_is_begun_anew() -> None:
    course = Course(
        (WAITS, []),
        (watched(phase="Planning"), [PLAN]),
        (TRAINS, [PLANNED, FOLD0, FOLD1]),
        (TRAINS, [PLANNED, KILLED, FOLD1, AGAIN]),
        (DONE, [PLANNED, KILLED, EVALUATES]),
    )
    over, lines, told = followed(course)
    assert over is DONE
    heads = [line for line in lines if line.startswith("==>")]
    assert [head.split()[1].strip(",") for head in heads] == ["planning", "fold", "fold", "fold", "evaluation"]
    assert "[planning] plan begins" in lines and "[fold 0] again begins" in lines
    assert "[evaluation] evaluate begins" in lines, "also what ended between two looks"
    assert told[0] == "WaitingForGPU: no GPU"


def test_what_had_ended_before_is_not_shown() -> None:
    _, lines, _ = followed(Course((TRAINS, [PLANNED, FOLD1]), (DONE, [PLANNED])))
    assert not any("plan" in line for line in lines) and "[fold 1] fold1 begins" in lines


@pytest.mark.parametrize(("over", "end"), [(FAILED, FAILED), (None, None)])
def test_it_ends_with_a_training_that_fails_or_is_deleted(over: Watched | None, end: Watched | None) -> None:
    assert followed(Course((TRAINS, [FOLD0]), (over, [])))[0] is end


def test_a_fold_that_was_asked_for_ends_it_and_is_not_prefixed() -> None:
    done = watched(phase="Training", folds=[fold("0", phase="Completed"), fold("1")])
    over, lines, _ = followed(Course((TRAINS, [FOLD0, FOLD1]), (done, [FOLD1])), Wanted("fold", ("0",)))
    assert over is done and lines[1:] == ["fold0 begins"]


def test_a_stage_that_was_asked_for_ends_it() -> None:
    planned: Any = {**PLANNED, "status": {**PLANNED["status"], "phase": "Succeeded"}}
    over, lines, _ = followed(Course((TRAINS, [PLAN]), (TRAINS, [planned, FOLD0])), Wanted("plan"))
    assert over is TRAINS and lines[1:] == ["plan begins"]


def test_a_log_that_breaks_off_is_read_on_and_a_cluster_that_is_away_waited_for() -> None:
    away = CliError("the cluster can't be reached", ExitCode.CLUSTER)
    course = Course((TRAINS, [FOLD0]), (away, []), (TRAINS, [FOLD0]), (DONE, []), fold0=away)
    over, lines, told = followed(course)
    assert over is DONE and lines[1:3] == ["[fold 0] fold0 begins", "[fold 0] fold0 on"]
    assert "no news, still trying: the cluster can't be reached" in told
    assert course.since[0] is None and all(since and since >= 1 for since in course.since[1:])


def test_a_log_that_is_gone_is_said_and_one_that_is_forbidden_ends_it() -> None:
    gone = Refused(Answer(404, {"message": "pod not found"}))
    _, lines, _ = followed(Course((TRAINS, [FOLD0]), (DONE, []), fold0=gone))
    assert "(its log can't be read any more: pod not found (HTTP 404))" in lines
    with pytest.raises(Refused):
        followed(Course((TRAINS, [FOLD0]), fold0=Refused(Answer(403, {"message": "no"}))))
