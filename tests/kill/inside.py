"""The kill test inside the trainer image: a run in peace, a run under fire, and their comparison."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.kill.compare import differences, leftovers
from tests.kill.moments import EVALUATE, MOST_EPOCHS, PATIENCE_SECONDS, TRAIN, VERIFY
from tests.kill.run import KilledRun, Kills
from tests.trainer.world import World, make_world

TRAINING_SEED = 7
SPARE_EPOCHS = 3
"""Epochs that are left when the last kill in the training has come."""
ENOUGH_KILLS = 20
"""From so many on some must have come in the middle of a write."""


def schedule(kills: Kills) -> dict[str, int]:
    """Return a schedule in which that many kills have room."""
    epochs = MOST_EPOCHS * kills.training + SPARE_EPOCHS
    return {"epochs": epochs, "iterationsPerEpoch": 15, "validationIterationsPerEpoch": 2}


def killed_and_not(world: World, folder: Path, kills: Kills, seed: int, say: bool = False) -> KilledRun:
    """Train a planned world in peace, a copy of it under fire, and assert that both came to the same end."""
    world = world.but(folds=["0"], schedule=schedule(kills), seed=TRAINING_SEED)
    # Started as in the pod, whatever the run in peace is: a kill may come while libraries are loaded.
    victim = world.anew().copy(folder)
    evaluated = kills.evaluating > 0
    _tell(say, f"a run in peace: {world.contract.schedule.epochs} epochs")
    trained = world.finish(*TRAIN, seconds=PATIENCE_SECONDS)
    assert trained.code == 0, trained.log
    if evaluated:
        for command in (VERIFY, EVALUATE):
            scored = world.finish(*command)
            assert scored.code == 0, scored.log
    epoch_seconds = trained.fold.median_epoch_seconds or 0
    _tell(say, f"done, {epoch_seconds:.2f} s an epoch; now {kills.total} kills")
    run = KilledRun(victim, seed, epoch_seconds, lambda line: _tell(say, f"kill {line}"))
    run.survive(kills)
    different = differences(world, victim, evaluated)
    assert not different, f"the run that was killed differs (SEED={seed}): {', '.join(different)}"
    left = leftovers(victim)
    assert not left, f"temporary files are left (SEED={seed}): {', '.join(left)}"
    return run


def _tell(say: bool, line: str) -> None:
    if say:
        print(line, flush=True)


def main() -> int:
    """Run the test; return an exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        world = make_world(Path(folder) / "peace").anew()
        planned = world.finish("plan", seconds=PATIENCE_SECONDS)
        assert planned.code == 0, planned.log
        kills = Kills.share_out(options.kills)
        run = killed_and_not(world, Path(folder) / "fire", kills, options.seed, say=True)
        journal = run.world.journal()
    assert run.cut_short or kills.total < ENOUGH_KILLS, "no kill came in the middle of a write"
    print(
        f"{kills.total} kills, {run.cut_short} of them in the middle of a write, {journal.lost_epochs} epochs lost: "
        f"weights, history and scores are those of the run in peace "
        f"({time.monotonic() - began:.0f} s, SEED={options.seed})"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
