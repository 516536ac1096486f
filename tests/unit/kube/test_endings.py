"""What the containers of others say last, made fit for the status, for Events and for whoever prints them."""

import pytest

from nnunet_api.contract import TerminationReport
from nnunet_operator.core.rounding import text
from nnunet_operator.kube.endings import parse_message, shorten

HOSTILE = "a\x1b]52;c;cm0=\x07b\x9b2Jc\u202ed"
SHOWN = "a�]52;c;cm0=�b�2Jc�d"


def test_a_terminal_that_shows_the_status_is_told_nothing() -> None:
    report, words = parse_message(TerminationReport(message=HOSTILE).model_dump_json())
    assert report and words == SHOWN
    assert parse_message(f"Traceback\n{HOSTILE}\n") == (None, SHOWN)
    assert shorten(HOSTILE) == text(HOSTILE) == SHOWN


@pytest.mark.parametrize("said", ["", "MIG 1g.5gb", "Größe: 3 µm – 42 % fehlen", "日本語"])
def test_words_stay_as_they_are(said: str) -> None:
    assert shorten(said) == said == text(said)
