"""Which cases a model has seen follows it, and the test cases of one side are never training cases of the other."""

from pathlib import Path

import pytest

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.dataset.contents import CaseContents, Contents
from nnunet_trainer.dataset.seen_cases import SeenCases, notes_on_seen, read_seen, write_seen
from nnunet_trainer.process.failures import TrainerError


def cases(*fingerprints: str) -> Contents:
    """Return cases that are named after what they hold."""
    return {f"case_{one}": CaseContents(one, (0, 1)) for one in fingerprints}


def test_what_weights_have_seen_goes_on_with_them(tmp_path: Path) -> None:
    write_seen(tmp_path, cases("a", "b"), cases("t"), None)
    first = read_seen(tmp_path)
    assert first == SeenCases(frozenset("ab"), frozenset("t"))
    write_seen(tmp_path, cases("c"), cases("u"), first)
    assert read_seen(tmp_path) == SeenCases(frozenset("abc"), frozenset("tu"))
    with pytest.raises(TrainerError, match=r"1 test case was a training case of the weights.*case_a"):
        write_seen(tmp_path, cases("d"), cases("a"), read_seen(tmp_path))


@pytest.mark.parametrize(
    ("training", "test", "words"),
    [
        (cases("x"), cases("a", "y"), "1 test case was a training case of the weights in spec.initialWeights.*case_a"),
        (cases("t", "x"), cases("y"), "1 training case is a test case of the weights.*case_t"),
        (cases("a", "x"), cases("t"), ""),
        (cases("x"), {}, ""),
    ],
    ids=["tested on what it knows", "trained on what the other is tested on", "the same sides", "no test set"],
)
def test_the_sides_are_kept_apart(tmp_path: Path, training: Contents, test: Contents, words: str) -> None:
    seen = SeenCases(frozenset("ab"), frozenset("t"))
    if not words:
        write_seen(tmp_path, training, test, seen)
        return
    with pytest.raises(TrainerError, match=words) as caught:
        write_seen(tmp_path, training, test, seen)
    assert caught.value.code == ExitCode.WRONG_DATA and read_seen(tmp_path) is None


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"trained": 5, "tested": []}', "[" * 100_000])
def test_what_is_not_known_is_said(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "seen_cases.json").write_text(content)
    assert read_seen(tmp_path) is None
    assert "not known which cases" in notes_on_seen(cases("a"), True, None)[0]


def test_notes() -> None:
    seen = SeenCases(frozenset("ab"), frozenset())
    assert notes_on_seen(cases("a"), False, None) == []
    assert notes_on_seen(cases("x"), True, seen) == []
    assert "2 training cases are known to the initial weights" in notes_on_seen(cases("a", "b", "x"), True, seen)[0]
