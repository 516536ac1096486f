"""Trainers in processes of their own, forked from one that has imported what they need."""

from collections.abc import Iterator

import pytest

from tests.support.zygote import Zygote
from tests.unit.trainer.piped import Start, starting


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    """Return what starts processes in a moment."""
    running = Zygote(["nnunet_trainer.commands.cli", "nnunet_trainer.process.followers"])
    yield running
    running.close()


@pytest.fixture
def start(zygote: Zygote) -> Start:
    """Return a function that starts what would follow `python` on a command line, in an environment."""
    return starting(zygote)
