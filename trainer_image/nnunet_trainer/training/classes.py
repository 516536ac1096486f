"""Trainer and planner classes by name, with an answer that helps when there is no such class."""

import importlib
import inspect
import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import nnunetv2
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities import find_objects
from nnunetv2.utilities.find_class_by_name import recursive_find_python_class

from nnunet_api.dataset.layout import named
from nnunet_api.standard import GPU_MEMORY_GB, number_text
from nnunet_api.words import counted
from nnunet_trainer.process.failures import TrainerError, may_pass, one_line, wrong_configuration
from nnunet_trainer.training import overrides
from nnunet_trainer.training.candidates import place_problem, suggestion

log = logging.getLogger(__name__)

_NNUNET = Path(nnunetv2.__path__[0])
_OWN_TRAINERS = _NNUNET / "training" / "nnUNetTrainer"
_CLASS = re.compile(r"^class (\w+)\s*[(:]", re.MULTILINE)
_EXTERNAL_TRAINERS = "nnUNet_extTrainer"
"""nnU-Net's variable with the folders of people's own trainers."""
_TROUBLES_NAMED = 4
_TRAINER_ARGUMENTS = {"plans", "configuration", "fold", "dataset_json", "device"}


def find_trainer(name: str) -> type:
    """Return the trainer class, found as nnUNetv2_train finds it (nnU-Net's own, then nnUNet_extTrainer).

    Raises TrainerError with WRONG_CONFIGURATION for a class that is unknown, broken, not built as nnU-Net asks or out
    of control.
    """
    external = [Path(path) for path in os.environ.get(_EXTERNAL_TRAINERS, "").split(os.pathsep) if path.strip()]
    folders = [_OWN_TRAINERS, *external]
    try:
        found = _found(name)
    except Exception as error:
        if may_pass(error):
            raise
        if name not in (known := class_names(folders)):
            raise _unknown("trainer class", "trainer.className", name, known) from error
        raise wrong_configuration(
            f"trainer class {name} can't be used: {one_line(f'{type(error).__name__}: {error}')[:600]}"
        ) from error
    if not found.__module__.startswith("nnunetv2."):
        # Not by its module: nnU-Net registers none, so Python knows no file of it.
        place = next((folder for folder in external if name in class_names([folder])), None)
        if place and (problem := place_problem(name, place, os.environ)):
            raise wrong_configuration(problem)
    arguments = set(inspect.signature(found).parameters)
    if arguments != _TRAINER_ARGUMENTS:
        raise wrong_configuration(
            f"trainer class {name} has __init__ arguments {', '.join(sorted(arguments))}; nnU-Net needs exactly plans, "
            "configuration, fold, dataset_json, device. Read further settings from environment variables (trainer.env)"
        )
    _require_control(found)
    return found


def _found(name: str) -> type:
    """Return what nnU-Net's search comes to, without importing all trainers that nnU-Net has on the way there.

    Among them are some that load timm and scipy.stats: a fifth of the CPU time up to the first iteration.
    """
    sources = {path: path.read_text(encoding="utf-8", errors="replace") for path in _OWN_TRAINERS.rglob("*.py")}
    word = re.escape(name)
    naming = {path: text for path, text in sources.items() if re.search(rf"\b{word}\b", text)}
    try:
        if not naming:
            return _found_elsewhere(name)
        # Which is first where two files have it is for nnU-Net to say. Those that import it have the same one.
        made = [
            path for path, text in naming.items() if re.search(rf"^\s*(class {word}\b|{word}\b[^=\n]*=)", text, re.M)
        ]
        if len(made) == 1 and name in _CLASS.findall(sources[made[0]]):
            module = ".".join(made[0].relative_to(_NNUNET.parent).with_suffix("").parts)
            found: type = getattr(importlib.import_module(module), name)
            return found
    except Exception as error:
        log.info("%s is looked for among all classes: %s", name, one_line(str(error))[:200])
    found = find_objects.recursive_find_trainer_class_by_name(name)
    return found


def _found_elsewhere(name: str) -> type:
    """Return what nnU-Net's search comes to in the folders of people's own classes."""
    search = find_objects.recursive_find_python_class

    def there(folder: str, *arguments: Any, **named: Any) -> Any:
        return None if Path(folder) == _OWN_TRAINERS else search(folder, *arguments, **named)

    find_objects.recursive_find_python_class = there
    try:
        found: type = find_objects.recursive_find_trainer_class_by_name(name)
        return found
    finally:
        find_objects.recursive_find_python_class = search


def _require_control(trainer: type) -> None:
    """Raise TrainerError with WRONG_CONFIGURATION for a class that this project's control can't work with."""
    from nnunet_trainer.training.control import Control

    found = overrides.overrides_of(trainer, nnUNetTrainer)
    troubles = overrides.problems(found, overrides.reserved_names(Control, nnUNetTrainer))
    if troubles:
        more = len(troubles) - _TROUBLES_NAMED
        raise wrong_configuration(
            f"trainer class {trainer.__name__} can't be used: {'. '.join(troubles[:_TROUBLES_NAMED])}"
            + (f". And {more} more" if more > 0 else "")
        )
    if found.hidden:
        log.warning("no source of %s, so it is not known whether control can work with it", named(found.hidden))
    if epochs := overrides.own_epochs(found):
        log.info("%s sets num_epochs to %s; schedule.epochs is what counts", trainer.__name__, epochs)


STAGES_OF_DEEP_SUPERVISION = 3
"""nnU-Net weighs the outputs of all stages but the last by 1/2^i and the last of them by 0: with two stages all weights
are 0/0, with one there is none (nnUNetTrainer._build_loss)."""


def require_stages(
    trainer: type,
    configuration: str,
    architecture: Mapping[str, Any],
    image_size: Sequence[float],
    memory_target: float | None = None,
) -> None:
    """Raise TrainerError with WRONG_CONFIGURATION where a network is too small for the trainer's deep supervision.

    `architecture` are the network's arguments in the plans, `image_size` the median size of the images in voxels.
    `memory_target` is planning.gpuMemoryTargetGB.
    """
    stages = len(architecture.get("strides") or [])
    if not 0 < stages < STAGES_OF_DEEP_SUPERVISION or not _supervises_deeply(trainer):
        return
    size = " x ".join(f"{voxels:g}" for voxels in image_size)
    asked = ""
    if memory_target is not None and memory_target < GPU_MEMORY_GB:
        given = number_text(memory_target)
        asked = f"planning.gpuMemoryTargetGB is {given}: give more, nnU-Net's own is {GPU_MEMORY_GB}. "
    raise wrong_configuration(
        f"the network of configuration {configuration} has {counted(stages, 'stage')}, and nnU-Net's deep "
        f"supervision needs {STAGES_OF_DEEP_SUPERVISION}. {asked}Where nnU-Net planned it, images of {size} voxels "
        "(median) are too small for more: use images with more around, another spacing or configuration. Where "
        "planning.configurations defines it, give it more stages. Or use trainer class nnUNetTrainerNoDeepSupervision"
    )


def _supervises_deeply(trainer: type) -> bool:
    """Return whether nnU-Net's own deep supervision acts, as far as that can be told without making a trainer.

    A class of one's own that has its own loss is left to itself.
    """
    own = trainer.__mro__[: trainer.__mro__.index(nnUNetTrainer)]
    for owner in own:
        names = vars(owner)
        init = getattr(names.get("__init__"), "__code__", None)
        if init is not None and "enable_deep_supervision" in init.co_names:
            return False
        if "_build_loss" in names and not owner.__module__.startswith("nnunetv2."):
            return False
    return True


def find_planner(name: str) -> Any:
    """Return the planner class. Raises TrainerError with WRONG_CONFIGURATION for an unknown one."""
    folder = _NNUNET / "experiment_planning"
    try:
        found = recursive_find_python_class(str(folder), name, current_module="nnunetv2.experiment_planning")
    except ImportError as error:
        if may_pass(error):
            raise
        raise wrong_configuration(f"planner {name} can't be loaded: {one_line(str(error))}") from error
    if found is None or not hasattr(found, "plan_experiment"):
        planners = {known for known in class_names([folder]) if "Plan" in known}
        raise _unknown("planner", "planning.planner", name, planners)
    return found


def class_names(folders: Iterable[Path]) -> set[str]:
    """Return the names of the classes defined at top level in the Python files of the folders, without importing."""
    return {
        name
        for folder in folders
        for path in folder.rglob("*.py")
        for name in _CLASS.findall(path.read_text(encoding="utf-8", errors="replace"))
    }


def _unknown(kind: str, field: str, name: str, known: set[str]) -> TrainerError:
    hint = suggestion(name, known)
    return wrong_configuration(f"there is no {kind} {name} in this image. {hint} Correct {field} or use another image")
