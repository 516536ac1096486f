"""Numbers in sentences."""

import pytest

from nnunet_api.words import counted


@pytest.mark.parametrize(
    ("number", "words", "said"),
    [
        (1, ("case",), "1 case"),
        (0, ("case",), "0 cases"),
        (2, ("case",), "2 cases"),
        (1, ("file is", "files are"), "1 file is"),
        (2, ("file is", "files are"), "2 files are"),
        (2, ("axis", "axes"), "2 axes"),
    ],
)
def test_counted(number: int, words: tuple[str, ...], said: str) -> None:
    assert counted(number, *words) == said
