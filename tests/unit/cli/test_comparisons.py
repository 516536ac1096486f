"""What explain, list and logs say of comparisons."""

import inspect
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from nnunet_api.comparison.advice import advice
from nnunet_api.comparison.reasons import ComparisonPhase, ComparisonReason
from nnunet_api.remedies.remedy import told
from nnunet_cli.errors import CliError
from nnunet_cli.explain.comparison import explain_comparison
from nnunet_cli.kube.answer import Answer, Refused
from nnunet_cli.kube.cluster import Cluster
from nnunet_cli.kube.comparisons import comparison_asked_for, comparisons_that_may_be_read, read
from nnunet_cli.kube.evidence import Evidence
from nnunet_cli.kube.watched import watched
from nnunet_cli.list.comparisons import data, rows
from nnunet_cli.wait import command as wait_command
from nnunet_cli.watch.comparison import watch_comparison
from tests.support.made_statuses import condition
from tests.unit.cli.test_compare import DONE

NOW = datetime(2026, 3, 1, 15, 0, 0, tzinfo=UTC)
WAITS = {
    "phase": "WaitingForArms",
    "conditions": [condition("Progressing", "WaitingForArms", "waits for its arms: training x is not there", "False")],
}


def body(status: Any, name: str = "shorter") -> dict[str, Any]:
    head = {"namespace": "clinic", "name": name, "uid": "u", "creationTimestamp": "2026-03-01T11:00:00Z"}
    return {"metadata": head, "spec": {"maxDiceLoss": 0.01}, "status": status}


def explained(status: Any, **parts: Any) -> Any:
    found = body(status)
    return explain_comparison(read(found), Evidence(watched({**found, "status": {}}), {}, **parts), NOW)


def test_one_that_waits_is_explained_with_what_to_do_and_where_to_look() -> None:
    todo = advice(ComparisonReason.WAITING_FOR_ARMS, "", "shorter", "clinic")
    said = told("waits for its arms: training x is not there", todo)  # as the operator writes it
    waits = {"phase": "WaitingForArms", "conditions": [condition("Progressing", "WaitingForArms", said, "False")]}
    found = explained(waits)
    assert (found.phase, found.reason) == ("WaitingForArms", "WaitingForArms")
    assert "It waits for its trainings" in found.matter and "training x is not there" in found.matter
    assert "once all of them are complete" in found.matter
    assert found.look[0] == "kubectl nnunet compare shorter -n clinic"


@pytest.mark.parametrize("reason", [one for one in ComparisonReason if advice(one, "", "shorter", "clinic")])
def test_what_to_do_is_said_once(reason: ComparisonReason) -> None:
    """The message in the status ends with it."""
    todo = advice(reason, "", "shorter", "clinic")
    conditions = [condition("Progressing", reason, told("something is the matter", todo), "False")]
    found = explained({"phase": "Blocked", "conditions": conditions})
    assert f"{found.matter} {found.todo}".count(todo) == 1
    assert explained({"phase": "Blocked", "conditions": [condition("Progressing", reason, "", "False")]}).todo == todo


def test_of_a_reason_of_its_job_the_operator_says_what_to_do() -> None:
    conditions = [condition("Progressing", "ImageUnavailable", "the image can't be pulled. Put its name right")]
    assert explained({"phase": "Blocked", "conditions": conditions}).todo == "What the operator says."


@pytest.mark.parametrize("phase", ComparisonPhase)
def test_each_phase_has_its_words(phase: ComparisonPhase) -> None:
    found = explained({"phase": phase, "conditions": [condition("Progressing", "OutOfMemory", "it was killed")]})
    assert found.phase == phase and len(found.matter) > 20 and found.todo
    assert not any(brace in text for text in (found.matter, found.todo, *found.look) for brace in "{}")


def test_one_that_nobody_has_seen_and_what_may_not_be_read() -> None:
    found = explained({}, jobs=None, pods=None)
    assert found.reason == "OperatorSilent" and "no operator has looked at it" in found.matter.lower()
    assert found.notes == ["you may not read Jobs, pods of the namespace, so nothing is said of them"]


def test_the_list_tells_phase_verdict_and_what_goes_on() -> None:
    done = {**DONE, "verdict": "Inferior", "difference": "-0.0180 (-0.0270 to -0.0090)", "summary": "it loses"}
    titles, (first, second) = rows([read(body(done)), read(body(WAITS, "later"))], NOW, with_namespace=False)
    assert titles[0] == "COMPARISON"
    assert first == ("shorter", "Completed", "Inferior", "-0.0180 (-0.0270 to -0.0090)", "4h", "it loses")
    assert second[1] == "WaitingForArms" and second[5] == "waits for its arms: training x is not there"
    assert data(read(body(WAITS)))["verdict"] is None


class Names:
    """A cluster with a training and a comparison of some names."""

    def __init__(self, trainings: tuple[str, ...] = (), comparisons: tuple[str, ...] = (), refusal: int = 0) -> None:
        self._trainings, self._comparisons, self._refusal = trainings, comparisons, refusal

    def training(self, _: str, name: str) -> Any:
        return body({}, name) if name in self._trainings else None

    def comparison(self, _: str, name: str) -> Any:
        if self._refusal:
            raise Refused(Answer(self._refusal, {"message": "no"}))
        return body(WAITS, name) if name in self._comparisons else None

    def comparisons(self, _: str | None) -> Any:
        if self._refusal:
            raise Refused(Answer(self._refusal, {"message": "no"}))
        return [body(WAITS, name) for name in self._comparisons]


@pytest.mark.parametrize(
    ("name", "cluster", "is_one"),
    [
        ("shorter", Names(comparisons=("shorter",)), True),
        ("shorter", Names(("shorter",), ("shorter",)), False),
        ("comparison/shorter", Names(("shorter",), ("shorter",)), True),
        ("nnc/shorter", Names((), ("shorter",)), True),
        ("other", Names(("shorter",), ("shorter",)), False),
        ("shorter", Names(refusal=404), False),
        ("shorter", Names(refusal=403), False),
    ],
)
def test_a_name_is_a_training_where_there_is_one(name: str, cluster: Names, is_one: bool) -> None:
    assert (comparison_asked_for(cast(Cluster, cluster), "clinic", name) is not None) is is_one


@pytest.mark.parametrize(
    ("cluster", "words"),
    [
        (Names(("shorter",)), "there is no comparison shorter in namespace clinic"),
        (Names(refusal=404), "knows no NnunetComparisons"),
        (Names(refusal=403), "comparison shorter can't be read"),
    ],
)
def test_one_that_is_asked_for_by_its_kind_has_to_be_there(cluster: Names, words: str) -> None:
    with pytest.raises(CliError, match=words):
        comparison_asked_for(cast(Cluster, cluster), "clinic", "comparison/shorter")


def test_a_cluster_that_knows_none_lists_none() -> None:
    assert comparisons_that_may_be_read(cast(Cluster, Names(refusal=404)), None) == []
    found = comparisons_that_may_be_read(cast(Cluster, Names(comparisons=("b", "a"))), None)
    assert [one.name for one in found] == ["a", "b"]


class Sequence:
    """A cluster whose comparison is in another state each time."""

    def __init__(self, *bodies: Any) -> None:
        self._bodies = list(bodies)

    def comparison(self, _: str, name: str) -> Any:
        return self._bodies.pop(0)


COMPLETE = {**DONE, "summary": "it loses", "conditions": [condition("Complete", "VerdictFound", "it loses")]}
FAILED = {"phase": "Failed", "conditions": [condition("Failed", "ArmChanged", "x is gone")]}


def test_watching_says_each_step_once_until_there_is_a_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    cluster = Sequence(body(WAITS), body(COMPLETE))
    watch_comparison(cast(Cluster, cluster), body(WAITS), once=False, interval_seconds=0)
    waits = "clinic/shorter WaitingForArms: waits for its arms: training x is not there"
    assert capsys.readouterr().out.splitlines() == [waits, "clinic/shorter Completed: it loses"]


@pytest.mark.parametrize(
    ("next_", "words"), [(body(FAILED), "has no verdict"), (None, "was deleted"), ({**body(WAITS)}, "was deleted")]
)
def test_watching_ends_with_an_error_where_there_is_none(next_: Any, words: str) -> None:
    if next_ and words == "was deleted":
        next_ = {**next_, "metadata": {**next_["metadata"], "uid": "another"}}
    with pytest.raises(CliError, match=words):
        watch_comparison(cast(Cluster, Sequence(next_)), body(WAITS), once=False, interval_seconds=0)


JUDGED = {**DONE, "conditions": [condition("Complete", "VerdictFound", "there is a verdict", "True")]}
FAILS = {
    "phase": "NotComparable",
    "summary": "schedule.epochs: 1000-epochs: 1000; 250-epochs: 250",
    "conditions": [condition("Failed", "NotComparable", "the arms differ in schedule.epochs", "True")],
}


class Moving:
    """A cluster with a comparison that moves on whenever it is asked for."""

    namespace = "clinic"

    def __init__(self, *statuses: Any) -> None:
        self._left = list(statuses)

    def training(self, *_: str) -> None:
        return None

    def comparison(self, _: str, name: str) -> Any:
        return body(self._left.pop(0), name) if self._left else None


@pytest.mark.parametrize(
    ("statuses", "code", "words"),
    [
        ([{}, WAITS, JUDGED], 0, "clinic/shorter: complete. "),
        ([WAITS, FAILS], 1, "clinic/shorter has failed: schedule.epochs: 1000-epochs: 1000; 250-epochs: 250"),
        ([WAITS], 1, "clinic/shorter was deleted meanwhile"),
    ],
)
def test_waiting_ends_with_a_verdict_or_when_there_can_be_none(
    statuses: list[Any],
    code: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(wait_command, "Cluster", lambda _: Moving(*statuses))
    monkeypatch.setattr(wait_command, "POLL_SECONDS_AT_FIRST", 0.01)
    to: Any = None
    try:
        inspect.unwrap(wait_command.wait)("shorter", to=to)
        ended = 0
    except CliError as error:
        ended, said = error.exit_code, str(error)
    out = capsys.readouterr()
    assert (ended, words in (out.out if not code else said)) == (code, True), (out, ended)
    assert "clinic/shorter: WaitingForArms: waits for its arms" in out.err
