"""The one table of reasons: each has a row, a phase and something to do; and nobody reads sentences."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from nnunet_api.conditions import MAX_MESSAGE, state_condition
from nnunet_api.reasons import HELD_BY_POLICY, Phase, Reason
from nnunet_api.remedies.remedy import Case, Group, told
from nnunet_api.remedies.table import REMEDIES, phase, phase_of
from nnunet_api.training import MUTABLE_FIELDS, MUTABLE_PARTS, NnunetTrainingSpec

ROOT = Path(__file__).parents[3]
NAMES = {"name": "hippo", "namespace": "clinic", "label": "hippo", "gpu": "gpu", "uids": "u"}
_CUTS = {
    *("split", "rsplit", "partition", "rpartition", "startswith", "endswith", "find", "rfind", "index", "count"),
    *("removeprefix", "removesuffix", "replace", "splitlines"),
}
_MATCHES = {"match", "fullmatch", "search", "findall", "finditer", "sub", "split"}
SOURCES = [
    path
    for folder in ("nnunet_cli", "nnunet_api", "nnunet_operator/core", "nnunet_operator/kube")
    for path in sorted((ROOT / "operator" / folder).rglob("*.py"))
]


def test_each_reason_has_a_row_and_there_are_no_others() -> None:
    assert set(REMEDIES) == set(Reason)


@pytest.mark.parametrize("reason", Reason)
def test_a_row_says_what_it_means_what_to_do_and_the_first_command(reason: Reason) -> None:
    row = REMEDIES[reason]
    assert row.meaning and not row.meaning.endswith(".") and row.sentence.endswith(".")
    texts = [row.advice(case, "hippo", "clinic") for case in ("", *row.cases)]
    assert not any(brace in text for text in texts for brace in "{}")
    if row.group is Group.ASIDE:
        return
    assert texts[0] and all(command.format(**NAMES).startswith("kubectl ") for command in row.look)
    assert row.look, "a command to look further"


@pytest.mark.parametrize("reason", Reason)
def test_a_phase_follows_from_each_reason(reason: Reason) -> None:
    expected = {
        Group.FAILED: "Failed",
        Group.COMPLETE: "Completed",
        Group.SUSPENDED: "Suspended",
        Group.STALLS: "Training",
        Group.SLOW: "Training",
        Group.ASIDE: "Pending",
    }.get(REMEDIES[reason].group, reason.value)
    assert phase_of(reason) == ("Pending" if reason is Reason.STARTING else expected)


def test_each_phase_follows_from_a_reason() -> None:
    assert {phase_of(reason) for reason in Reason} == set(Phase)
    assert {reason for reason in Reason if REMEDIES[reason].group is Group.HELD} == set(HELD_BY_POLICY)


def test_the_phase_of_a_version_to_come_and_of_no_condition_is_pending() -> None:
    assert phase([state_condition("Progressing", False, "WaitingForTheMoon", "")]) == phase([]) == Phase.PENDING


def test_each_case_has_a_remedy_somewhere() -> None:
    used = {case for row in REMEDIES.values() for case in row.cases}
    assert used == set(Case) - {Case.TOLD, Case.SAID}


FIELD = re.compile(r"\bspec\.[a-zA-Z]+(?:\.[a-zA-Z]+)*")
ANEW = ("new training", "create it", "can't change", "create one that is put right")
"""Words of which one stands beside a field that can't change."""
FOREIGN = ("spec.template",)
"""Fields of other objects that are named."""
TEXTS = [
    pytest.param(row.advice(case, "hippo", "clinic"), id=f"{reason}-{case}")
    for reason, row in REMEDIES.items()
    for case in ("", *row.cases)
]


def model_of(annotation: object) -> type[BaseModel] | None:
    """Return the model that a field holds, alone, in a list or as None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := model_of(part))), None)


def exists(path: str) -> bool:
    """Tell whether a training has a field, by its path from spec on."""
    model: type[BaseModel] | None = NnunetTrainingSpec
    for name in path.split(".")[1:]:
        fields = {info.alias or key: info for key, info in model.model_fields.items()} if model else {}
        if name not in fields:
            return False
        model = model_of(fields[name].annotation)
    return True


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_advised_is_possible(text: str) -> None:
    """The fields that are named exist, and where one can't change it is said what to do in place of that."""
    for path in FIELD.findall(text):
        if path.startswith(FOREIGN):
            continue
        assert exists(path), path
        mutable = path.split(".")[1] in MUTABLE_FIELDS or path.startswith(
            tuple(f"spec.{part}" for part in MUTABLE_PARTS)
        )
        fixed = not mutable or path == "spec.resources.gpus"
        assert not fixed or any(words in text for words in ANEW), f"{path} can't change: {text}"


def test_what_the_trainer_says_is_followed_by_how_to_go_on_alone() -> None:
    row = REMEDIES[Reason.WRONG_DATA]
    assert row.advice(Case.TOLD, "hippo", "clinic").startswith("To try again")
    assert row.advice("", "hippo", "clinic").endswith(row.advice(Case.TOLD, "hippo", "clinic"))
    assert row.advice(Case.SAID, "hippo", "clinic") == ""


@pytest.mark.parametrize(
    ("matter", "todo", "message"),
    [
        ("fold 0 waits", ["Do this."], "fold 0 waits. Do this."),
        ("fold 0 waits. ", ["Do this.", "", "Do this.", "And that."], "fold 0 waits. Do this. And that."),
        ("fold 0 trains", [], "fold 0 trains"),
        ("fold 0 trains", [""], "fold 0 trains"),
    ],
)
def test_a_message_is_what_is_the_matter_and_what_to_do(matter: str, todo: list[str], message: str) -> None:
    assert told(matter, *todo) == message


def test_what_to_do_is_never_cut() -> None:
    message = told("x" * 40_000, "Do this.")
    assert len(message) <= MAX_MESSAGE and message.endswith("... Do this.")


def _reads_sentences(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the places that look into the attribute `message` of something: cut it, match it, search it."""

    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}

    def is_message(node: ast.AST) -> bool:
        return any(
            isinstance(part, ast.Attribute) and part.attr in ("message", "matter") and id(part) not in called
            for part in ast.walk(node)
        )

    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            receiver, name = node.func.value, node.func.attr
            module = isinstance(receiver, ast.Name) and receiver.id == "re"
            if name in _CUTS and is_message(receiver):
                yield node
            elif (module or name in ("fullmatch", "search", "match")) and name in _MATCHES:
                yield from (node for argument in node.args if is_message(argument))
        elif isinstance(node, ast.Compare) and any(isinstance(op, ast.In | ast.NotIn) for op in node.ops):
            # Whether a whole sentence is among some is no look into it; whether words are in a sentence is.
            yield from (node for right in node.comparators if is_message(right))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "operator")))
def test_nobody_cuts_or_searches_a_message(path: Path) -> None:
    """What a program has to know is a reason, a case or a field. What Kubernetes says is no attribute but JSON."""
    found = [node.lineno for node in _reads_sentences(ast.parse(path.read_text())) if isinstance(node, ast.expr)]
    assert not found, f"{path.name} reads sentences in the lines {found}"


@pytest.mark.parametrize(
    "code",
    [
        'condition.message.split(" To try again (", 1)[0]',
        'message.message.partition(": ")',
        '"denied" in answer.message',
        're.search("exit code", condition.message)',
        "PATTERN.fullmatch(refused.answer.message)",
        'problem.matter.startswith("fold")',
    ],
)
def test_that_check_finds_what_was_there_once(code: str) -> None:
    assert list(_reads_sentences(ast.parse(code)))
