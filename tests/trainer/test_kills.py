"""A short kill test; `make test-kill` is the long one."""

from pathlib import Path

from tests.kill.inside import killed_and_not
from tests.kill.run import Kills
from tests.trainer.world import World


def test_a_training_that_is_killed_ends_as_one_that_is_not(world: World, tmp_path: Path) -> None:
    kills = Kills(training=4, final=1, validating=1, evaluating=0)
    run = killed_and_not(world, tmp_path / "fire", kills, seed=0)
    assert run.world.journal().attempts > kills.training
