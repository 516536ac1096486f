"""JSON of people: what Python takes without a word is refused, and no more is read than there may be."""

import json
import os
from pathlib import Path

import pytest

from nnunet_api.dataset import strict_json
from nnunet_api.dataset.beside import sidecar_problems
from nnunet_api.dataset.cases import MAX_BYTES, data_of, read_cases
from nnunet_api.dataset.strict_json import parse_json, read_json


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1, "b": 2, "a": 3}', "'a' is given twice"),
        ('{"a": NaN}', "NaN is no number"),
        ('{"labels": {"\\ud800": 1}}', "half of a character"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_json(text)


@pytest.mark.timeout(30)
def test_one_name_twice_among_many_is_found_at_once() -> None:
    """Counted for each of 100,000 names anew, it took hours."""
    names = ", ".join(f'"{number}": 0' for number in range(100_000))
    with pytest.raises(ValueError, match="'7' is given twice"):
        parse_json(f'{{{names}, "7": 1}}')


def holey(path: Path, size: int) -> Path:
    """Make a file that takes no room."""
    path.touch()
    os.truncate(path, size)
    return path


def test_a_file_that_would_fill_the_memory_is_not_read(tmp_path: Path) -> None:
    """A terabyte of zeros, which takes no room on the volume."""
    with pytest.raises(ValueError, match="it has more than 64 MiB"):
        read_json(holey(tmp_path / "dataset.json", 1 << 40))
    read = read_cases(data_of(holey(tmp_path / "cases.csv", 1 << 40)))
    assert [each.partition(":")[0] for each in read.problems] == [
        "cases.csv has more than 16 MiB, the most that is read"
    ]
    assert len(data_of(tmp_path / "cases.csv")) == MAX_BYTES + 1
    holey(tmp_path / "a.json", 1 << 40)
    (problem,) = sidecar_problems([((tmp_path / "a_0000.tif",), tmp_path / "a.tif")], tmp_path)
    assert "a.json can't be read: it has more than 64 MiB" in problem


def test_as_much_as_there_may_be_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps({"a": "é" * 10})
    monkeypatch.setattr(strict_json, "MAX_BYTES", len(text))
    (tmp_path / "a.json").write_text(text)
    assert read_json(tmp_path / "a.json") == {"a": "é" * 10}
