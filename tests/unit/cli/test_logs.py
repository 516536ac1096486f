"""Which pods' logs are shown, and how those of several are told apart."""

from collections.abc import Iterator
from typing import Any

import pytest

from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.kube.answer import Answer, Refused
from nnunet_cli.kube.pods import Wanted, choose
from nnunet_cli.logs.command import of_configuration
from nnunet_cli.logs.streams import show_logs
from tests.support.made_statuses import watched


def pod(name: str, stage: str, created: int, code: int | None = None, runs: bool = True, fold: str = "") -> Any:
    state: dict[str, Any] = {"running": {}} if runs else {}
    if code is not None:
        state = {"terminated": {"exitCode": code, "finishedAt": f"2026-03-01T12:{created + 1:02d}:00Z"}}
    labels = {"nnunet.dev/stage": stage, **({"nnunet.dev/fold": fold} if fold else {})}
    metadata = {"name": name, "namespace": "clinic", "labels": labels}
    return {
        "metadata": {**metadata, "creationTimestamp": f"2026-03-01T12:{created:02d}:00Z"},
        "status": {"phase": "Running", "containerStatuses": [{"name": "trainer", "state": state}]},
    }


PLAN = pod("plan", "plan", 0, code=0)
OLD = pod("old", "fold", 2, code=137, fold="0")
FOLD0 = pod("fold0", "fold", 4, fold="0")
FOLD1 = pod("fold1", "fold", 3, fold="1")
PENDING = pod("pending", "fold", 5, runs=False, fold="2")
DONE = pod("done", "fold", 1, code=0, fold="3")
ALL = [FOLD1, PENDING, FOLD0, OLD, PLAN, DONE]


@pytest.mark.parametrize(
    ("pods", "wanted", "names"),
    [
        (ALL, Wanted(), ["fold0", "fold1"]),
        (ALL, Wanted(previous=True), ["old", "fold0", "fold1"]),
        (ALL, Wanted("fold", ("0",)), ["fold0"]),
        (ALL, Wanted("fold", ("0",), previous=True), ["old", "fold0"]),
        (ALL, Wanted("fold", ("3", "1")), ["fold1", "done"]),
        (ALL, Wanted("plan"), ["plan"]),
        (ALL, Wanted("verify"), []),
        (ALL, Wanted("fold", ("2",)), []),
        ([PLAN, OLD, DONE, PENDING], Wanted(), ["old"]),
        ([PENDING], Wanted(), []),
        ([pod("z", "plan", 1, code=1), pod("a", "plan", 1)], Wanted("plan", previous=True), ["z", "a"]),
        ([], Wanted(), []),
    ],
)
def test_the_pods_that_matter(pods: list[Any], wanted: Wanted, names: list[str]) -> None:
    assert [each["metadata"]["name"] for each in choose(pods, wanted)] == names


class Logs:
    """Answers with two lines for each pod, or with an error."""

    def __init__(self, **errors: Exception) -> None:
        self._errors = errors

    def log(self, namespace: str, pod: str, *, tail: int | None = None) -> Iterator[str]:
        yield f"{pod} 1"
        if pod in self._errors:
            raise self._errors[pod]
        yield f"{pod} 2"


def shown(logs: Logs, *pods: Any) -> list[str]:
    lines: list[str] = []
    show_logs(logs, pods, tail=None, echo=lines.append)
    return lines


def test_one_pod_has_a_line_that_says_which_it_is() -> None:
    assert shown(Logs(), FOLD0) == ["==> fold 0, pod fold0, running <==", "fold0 1", "fold0 2"]


def test_attempts_of_one_fold_are_not_prefixed() -> None:
    assert shown(Logs(), OLD, FOLD0)[:2] == ["==> fold 0, pod old, ended with exit code 137 <==", "old 1"]


def test_several_folds_are_prefixed_by_the_fold() -> None:
    lines = shown(Logs(), FOLD0, FOLD1)
    assert lines[1:3] == ["[fold 0] fold0 1", "[fold 0] fold0 2"] and lines[-1] == "[fold 1] fold1 2"


def test_a_log_that_is_gone_with_its_node_is_said_and_the_others_are_shown() -> None:
    gone = Refused(Answer(400, {"message": "container not found"}))
    lines = shown(Logs(old=gone), OLD, FOLD0)
    assert lines[2] == "(its log can't be read any more: container not found (HTTP 400))" and lines[-1] == "fold0 2"
    assert not show_logs(Logs(old=gone), [OLD], tail=None, echo=lines.append)


def test_a_log_that_breaks_off_ends_the_command() -> None:
    lines: list[str] = []
    away = CliError("the cluster can't be reached", ExitCode.CLUSTER)
    with pytest.raises(CliError, match="can't be reached"):
        show_logs(Logs(fold0=away), [FOLD1, FOLD0], tail=None, echo=lines.append)
    assert "[fold 0] fold0 1" in lines and "[fold 1] fold1 2" in lines


BOTH = [{"configuration": name, "fold": fold} for name in ("2d", "3d_fullres") for fold in ("0", "1")]


@pytest.mark.parametrize(
    ("configuration", "folds", "expected"),
    [
        ("2d", (), ("2d-0", "2d-1")),
        ("3d_fullres", ("1",), ("3d_fullres-1",)),
        ("2d", ("2d-0",), ("2d-0",)),
    ],
)
def test_the_folds_of_one_of_several_configurations(
    configuration: str, folds: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert of_configuration(watched(folds=BOTH), configuration, folds) == expected


@pytest.mark.parametrize(
    ("configuration", "folds", "words"),
    [
        ("3d_lowres", (), "trains no configuration 3d_lowres: it has 2d and 3d_fullres"),
        ("2d", ("4",), "has no fold 4 of configuration 2d"),
        ("2d", ("3d_fullres-0",), "has no fold 3d_fullres-0 of configuration 2d"),
    ],
)
def test_a_configuration_or_a_fold_that_is_not_trained(configuration: str, folds: tuple[str, ...], words: str) -> None:
    with pytest.raises(CliError, match=words):
        of_configuration(watched(folds=BOTH), configuration, folds)
