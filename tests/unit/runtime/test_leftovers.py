"""What asyncio says of generators that kopf leaves open is no error of the operator; anything else is."""

import asyncio
import logging
from typing import Any

import pytest

from nnunet_operator.runtime.app import _of_leftovers


@pytest.mark.parametrize(
    ("context", "level"),
    [
        ({"message": "an error occurred during closing of asynchronous generator", "asyncgen": object()}, "DEBUG"),
        ({"message": "Task exception was never retrieved", "exception": ValueError("x")}, "ERROR"),
    ],
)
def test_level(context: dict[str, Any], level: str, caplog: pytest.LogCaptureFixture) -> None:
    """Only what is said of such a generator is debug."""
    caplog.set_level(logging.DEBUG)
    loop = asyncio.new_event_loop()
    _of_leftovers(loop, context)
    loop.close()
    assert [record.levelname for record in caplog.records if context["message"] in record.message] == [level]
