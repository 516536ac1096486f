"""The choice among configurations, by nnU-Net's own find_best_configuration: what it calls is done once, and noted.

It accumulates the cross-validation of each configuration, averages the probabilities of each pair, takes the best and
determines its postprocessing, and leaves its files where its other commands look for them. Each of these steps is noted
when it is done. A step that was interrupted is begun anew, but for the cases of a pair that are averaged already.
"""

import contextlib
import logging
import math
import os
import pickle
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnunet_api.contract import SELECTION_FILE, PlanFacts, RunContract
from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.dataset.checked_plans import read_checked_plans
from nnunet_trainer.process.files import read_json, temporary_path, write_json
from nnunet_trainer.process.heartbeat import heartbeat
from nnunet_trainer.process.memory import memory_limit
from nnunet_trainer.run.fence import Fence
from nnunet_trainer.run.paths import VALIDATION_FOLDER, RunPaths
from nnunet_trainer.scoring import prediction_memory as memory
from nnunet_trainer.scoring import scores
from nnunet_trainer.scoring.predicting import geometry
from nnunet_trainer.scoring.predictions import pass_over_unfinished, whole_ones
from nnunet_trainer.selection.merging import merge_checked
from nnunet_trainer.selection.record import (
    ALL_FOREGROUND,
    NEW_TRAINING,
    Candidate,
    Chosen,
    NoChoiceError,
    SelectionRecord,
    candidates,
)

log = logging.getLogger(__name__)

STEPS_FILE = ".selection.json"
"""In the run folder, as long as the choice is being made: from what, and which steps are done."""
ENSEMBLES = "ensembles"
"""Folder of the pairs, beside the model folders."""
ACCUMULATED = "crossval_results_folds_"
"""Beginning of the name of the folder of a configuration's cross-validation, in its model folder."""
INSTRUCTIONS = ("inference_information.json", "inference_instructions.txt")
"""What nnU-Net writes beside the model folders."""


@dataclass
class Steps:
    """The steps of a choice that are done, on disk as soon as they are."""

    path: Path
    inputs: Mapping[str, Any]
    """From what is chosen."""
    fence: Fence | None = None
    """The right to write in the run's folder, for who has to hold it."""
    done: dict[str, Any] = field(default_factory=dict)
    """What each step has found, by its name; the summary of its folder is there, too."""

    def are_begun(self) -> bool:
        """Read what is done; tell whether that was from the same inputs."""
        try:
            content = read_json(self.path)
            self.done = dict(content["done"])
            return bool(content["inputs"] == self.inputs)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return False

    def begin(self) -> None:
        """Note that nothing is done."""
        self.done = {}
        self._write()

    def once(self, name: str, summary: Path, work: Callable[[], Any]) -> Any:
        """Do the work of a step, which leaves that summary, unless it is done; return what it found."""
        if name not in self.done or not _is_json(summary):
            self._check_fence()
            with heartbeat(f"selection: {name}"):
                found = work()
                # nnU-Net flushes nothing: all files must be on disk before the note says so, should a node die then.
                os.sync()
            self.done[name] = found
            self._write()
        return self.done[name]

    def _check_fence(self) -> None:
        if self.fence:
            self.fence.check()

    def _write(self) -> None:
        self._check_fence()
        write_json(self.path, {"inputs": dict(self.inputs), "done": self.done})


@dataclass(frozen=True)
class Choice:
    """A choice to be made."""

    contract: RunContract
    paths: RunPaths
    plan: PlanFacts
    labels: Mapping[str, Any]
    """`labels` of dataset.json."""
    checkpoints: Mapping[str, str]
    """By fold run: the SHA-256 of the final checkpoint."""
    validated: Mapping[str, Any]
    """By fold run: what tells one set of validation predictions from another."""

    @property
    def home(self) -> Path:
        """The dataset's folder in nnUNet_results."""
        return self.paths.run / self.contract.dataset

    @property
    def models(self) -> dict[str, Path]:
        """The model folder of each configuration."""
        each = self.contract.by_configuration
        return {one.configuration: self.paths.model(one, self.plan.plans_name) for one in each}

    @property
    def folds(self) -> tuple[int, ...]:
        """The folds, as nnU-Net's commands have them."""
        return tuple(int(fold) for fold in self.contract.folds)

    def folder_of(self, candidate: tuple[str, ...]) -> Path:
        """Return where nnU-Net puts the cross-validation of a configuration or pair."""
        from nnunetv2.utilities.file_path_utilities import folds_tuple_to_string, get_ensemble_name

        models = [self.models[name] for name in candidate]
        if len(models) == 1:
            return models[0] / f"{ACCUMULATED}{folds_tuple_to_string(self.folds)}"
        return self.home / ENSEMBLES / str(get_ensemble_name(str(models[0]), str(models[1]), self.folds))


def choose(choice: Choice) -> SelectionRecord:
    """Return what nnU-Net chooses. What an earlier attempt has done, from the same predictions, is not done again."""
    contract = choice.contract
    assert contract.selection is not None
    for model in choice.models.values():
        read_checked_plans(model / "plans.json")
    steps = Steps(
        choice.paths.run / STEPS_FILE,
        {
            "checkpoints": dict(choice.checkpoints),
            "validated": dict(choice.validated),
            "asked": contract.selection.to_json_dict(),
            "configurations": contract.configuration_names,
        },
        choice.paths.fence,
    )
    if not steps.are_begun():
        choice.paths.check_fence()
        _clear(choice)
        steps.begin()
    found = _find_best(choice, steps)["best_model_or_ensemble"]
    names = [one["configuration"] for one in found["selected_model_or_models"]]
    return SelectionRecord(
        chosen=[
            Chosen(configuration=name, model_path=str(choice.models[name].relative_to(choice.paths.results)))
            for name in names
        ],
        postprocessing=steps.done[_postprocessing_of(choice, choice.folder_of(tuple(names)))],
        mean_validation_dice=float(found["result_on_crossval_pre_pp"]),
        postprocessed_validation_dice=(
            float(found["result_on_crossval_post_pp"]) if contract.selection.postprocessing else None
        ),
        candidates=[
            _scored(choice, candidate)
            for candidate in candidates(contract.configuration_names, contract.selection.ensembles)
        ],
        checkpoints=dict(choice.checkpoints),
        asked=contract.selection,
    )


def forget_choice(paths: RunPaths) -> None:
    """Remove a choice that doesn't hold, and the note on its steps: all folds predict for the next one."""
    (paths.run / SELECTION_FILE).unlink(missing_ok=True)
    forget_steps(paths)


def forget_steps(paths: RunPaths) -> None:
    """Remove the note on steps: the choice is made."""
    (paths.run / STEPS_FILE).unlink(missing_ok=True)


def _clear(choice: Choice) -> None:
    """Remove what a choice from something else has left."""
    (choice.paths.run / SELECTION_FILE).unlink(missing_ok=True)
    for folder in [choice.home / ENSEMBLES, *choice.home.glob(f"*/{ACCUMULATED}*")]:
        if folder.exists():
            log.info("removing %s: made from other predictions", folder.relative_to(choice.paths.run))
            shutil.rmtree(folder)
    for name in INSTRUCTIONS:
        (choice.home / name).unlink(missing_ok=True)


def _find_best(choice: Choice, steps: Steps) -> dict[str, Any]:
    """Let nnU-Net choose, with each of its steps done once."""
    from nnunetv2.ensembling import ensemble
    from nnunetv2.evaluation import accumulate_cv_results as accumulating
    from nnunetv2.evaluation import evaluate_predictions
    from nnunetv2.evaluation import find_best_configuration as finding
    from nnunetv2.postprocessing import remove_connected_components

    pass_over_unfinished(accumulating, evaluate_predictions, remove_connected_components, ensemble)
    contract = choice.contract
    assert contract.selection is not None
    models = [
        {"plans": choice.plan.plans_name, "configuration": name, "trainer": contract.trainer_class}
        for name in contract.configuration_names
    ]
    once = _Once(choice, steps, _processes(choice), {name: getattr(finding, name) for name in _STEPS})
    with (
        _replaced(finding, dict(zip(_STEPS, (once.accumulate, once.average, once.score, once.determine), strict=True))),
        _replaced(ensemble, {"merge_files": merge_checked}),
        # For all candidates the labels that were preprocessed: those of the dataset may have changed since.
        _replaced(accumulating, {"nnUNet_raw": accumulating.nnUNet_preprocessed}),
    ):
        found: dict[str, Any] = finding.find_best_configuration(
            contract.dataset,
            models,
            contract.selection.ensembles,
            contract.processes,
            True,
            choice.folds,
            strict=True,
        )
    return found


_STEPS = (
    "accumulate_cv_results",
    "ensemble_crossvalidations",
    "compute_metrics_on_folder",
    "determine_postprocessing",
)
"""What nnU-Net's find_best_configuration calls by their names in its module."""


@dataclass(frozen=True)
class _Once:
    """nnU-Net's steps, with its arguments, each done unless it is noted as done."""

    choice: Choice
    steps: Steps
    processes: Mapping[str, int]
    """With how many each kind of step fits into the memory."""
    theirs: Mapping[str, Callable[..., Any]]
    """nnU-Net's own functions by their names."""

    def accumulate(self, model: str, merged: str, folds: Any, _processes: int, overwrite: bool) -> None:
        """Put the validation of all folds of a configuration together and score it."""
        folder, arguments = Path(merged), (model, merged, folds, self.processes["scoring"], overwrite)

        def work() -> None:
            self.theirs["accumulate_cv_results"](*arguments)

        self.steps.once(_name(self.choice, folder), folder / "summary.json", work)
        _require_defined(self.choice, folder)

    def average(self, models: list[str], output: str, folds: Any, _processes: int, overwrite: bool) -> None:
        """Average the probabilities of a pair. Cases that are averaged already are left alone."""
        folder, ending = Path(output), str(read_json(Path(models[0]) / "dataset.json")["file_ending"])

        def work() -> None:
            if folder.exists():
                whole_ones(folder, ending)
            average = self.theirs["ensemble_crossvalidations"]
            average(models, output, folds, self.processes["merging"], overwrite=False)

        assert overwrite, "what is there would be of other predictions"
        self.steps.once(f"{_name(self.choice, folder)}, averaging", folder / "dataset.json", work)

    def score(self, reference: str, output: str, summary: str, *others: Any) -> None:
        """Score a pair; the number of processes is the last argument."""
        folder = Path(output)

        def work() -> None:
            score = self.theirs["compute_metrics_on_folder"]
            score(reference, output, summary, *others[:-1], self.processes["scoring"])

        self.steps.once(_name(self.choice, folder), Path(summary), work)
        _require_defined(self.choice, folder)

    def determine(self, source: str, reference: str, **others: Any) -> None:
        """Determine the postprocessing of what was chosen, where that is asked for."""
        folder, selection = Path(source), self.choice.contract.selection

        def work() -> list[str]:
            shutil.rmtree(folder / "postprocessed", ignore_errors=True)
            if selection is None or not selection.postprocessing:
                _write_no_postprocessing(folder)
                return []
            arguments = others | {"num_processes": self.processes["postprocessing"]}
            functions, settings = self.theirs["determine_postprocessing"](source, reference, **arguments)
            return _names(functions, settings, self.choice.labels)

        self.steps.once(_postprocessing_of(self.choice, folder), folder / "postprocessed" / "summary.json", work)


@contextlib.contextmanager
def _replaced(module: Any, ours: Mapping[str, Any]) -> Iterator[None]:
    """While it lasts, let a module of nnU-Net call these by the names of its own."""
    theirs = {name: getattr(module, name) for name in ours}
    for name, value in ours.items():
        setattr(module, name, value)
    try:
        yield
    finally:
        for name, value in theirs.items():
            setattr(module, name, value)


def _processes(choice: Choice) -> dict[str, int]:
    """Return with how many processes each kind of step can be done in the pod's memory."""
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    model = next(iter(choice.models.values()))
    plans, description = PlansManager(str(model / "plans.json")), read_json(model / "dataset.json")
    reader = plans.image_reader_writer_class()
    heads = int(plans.get_label_manager(description).num_segmentation_heads)
    ending = str(description["file_ending"])
    # What is being written begins with a dot.
    files = [path for fold in choice.folds for path in model.glob(f"fold_{fold}/{VALIDATION_FOLDER}/[!.]*{ending}")]
    voxels = [math.prod(geometry(reader, path)[0]) for path in files]
    most, limit = choice.contract.processes, memory_limit()
    return {
        "scoring": memory.fitting_scorers(voxels, most, limit),
        "merging": memory.fitting_mergers(voxels, heads, most, limit),
        "postprocessing": memory.fitting_postprocessors(voxels, most, limit),
    }


def _is_json(path: Path) -> bool:
    try:
        read_json(path)
    except (FileNotFoundError, ValueError):
        return False
    return True


def _name(choice: Choice, folder: Path) -> str:
    return str(folder.relative_to(choice.home))


def _postprocessing_of(choice: Choice, folder: Path) -> str:
    return f"{_name(choice, folder)}, postprocessing"


def _require_defined(choice: Choice, folder: Path) -> None:
    """Raise NoChoiceError with WRONG_DATA where nnU-Net has no number for a candidate, and so none to choose by."""
    means = read_json(folder / "summary.json")["mean"]
    names = scores.class_names(choice.labels)
    if undefined := [names.get(key, key) for key, mean in means.items() if math.isnan(float(mean["Dice"]))]:
        raise NoChoiceError(
            ExitCode.WRONG_DATA,
            f"nothing can be chosen: no validation case of {_name(choice, folder)} holds or predicts "
            f"{', '.join(undefined)}, so there is no Dice to compare. {NEW_TRAINING}. The "
            "scores of the cross-validation are in summary.json and report.html",
        )


def _scored(choice: Choice, candidate: tuple[str, ...]) -> Candidate:
    content = read_json(choice.folder_of(candidate) / "summary.json")
    per_class = {key: float(mean["Dice"]) for key, mean in content["mean"].items()}
    return Candidate(
        configurations=list(candidate),
        mean_validation_dice=float(content["foreground_mean"]["Dice"]),
        per_class=scores.named_classes(per_class, choice.labels),
    )


def _names(functions: Any, settings: Any, labels: Mapping[str, Any]) -> list[str]:
    """Return of what the largest component is kept. Fails where nnU-Net has found another kind of postprocessing."""
    from nnunetv2.postprocessing.remove_connected_components import remove_all_but_largest_component_from_segmentation

    names = scores.class_names(labels)
    found = []
    for function, setting in zip(functions, settings, strict=True):
        assert function is remove_all_but_largest_component_from_segmentation, f"{function} is new to nnU-Net"
        of = setting["labels_or_regions"]
        found.append(ALL_FOREGROUND if isinstance(of, list) else names[str(of)])
    return found


def _write_no_postprocessing(folder: Path) -> None:
    """Leave what nnU-Net leaves where nothing helps, without looking: its instructions name these files."""
    (folder / "postprocessed").mkdir()
    path = folder / "postprocessing.pkl"
    temporary = temporary_path(path)
    temporary.write_bytes(pickle.dumps(([], [])))
    temporary.replace(path)
    shutil.copyfile(folder / "summary.json", folder / "postprocessed" / "summary.json")
