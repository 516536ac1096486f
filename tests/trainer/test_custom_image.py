"""The image that the example's Dockerfile makes trains with its class, told nothing but what the pod is told."""

from nnunet_trainer.run.paths import FINAL
from nnunet_trainer.training.checkpoints import finished_epochs
from tests.trainer.world import World

SHORT = {"epochs": 1, "iterationsPerEpoch": 4, "validationIterationsPerEpoch": 2}


def test_the_class_of_the_example_is_in_its_image(world: World) -> None:
    world = world.but(trainerClass="RareLesionTrainer", schedule=SHORT).with_env(RARE_LESION_FOREGROUND="0.5").anew()
    assert "nnUNet_extTrainer" not in world.env
    ended = world.finish("train", "--fold", "0")
    assert ended.code == 0, ended.log
    assert "lowest pseudo-Dice of a class" in ended.log
    assert finished_epochs(world.fold() / FINAL) == ended.fold.epoch == 1
