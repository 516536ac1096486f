"""What leaves the cluster of a model: which files, as nnU-Net's export takes them, and the commands to use them. Pure.

As nnUNetv2_export_model_to_zip (model_sharing/model_export.py of nnU-Net 2.8.1) and the instructions that
nnUNetv2_find_best_configuration prints.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nnunet_api.folders import model_folder

STEP_SIZE = 0.5
"""nnU-Net's own distance between windows, as a part of the patch."""
INSTRUCTIONS_FILE = "inference_instructions.txt"
"""In the folder of the dataset, as nnU-Net calls it."""
CHECKPOINT = "checkpoint_final.pth"
POSTPROCESSING = "postprocessing.pkl"
_OF_MODEL = ("plans.json", "dataset.json", "dataset_fingerprint.json")
_REQUIRED_OF_MODEL = ("plans.json", "dataset.json")
_OF_FOLD = (CHECKPOINT, "debug.json", "progress.png", "network_architecture.pdf", "validation/summary.json")
_OF_CHOICE = ("summary.json", POSTPROCESSING, "postprocessing.json")


@dataclass(frozen=True)
class Member:
    """A model: the folds of one configuration."""

    configuration: str
    trainer_class: str
    plans: str
    folds: tuple[str, ...]
    hashes: Mapping[str, str] = field(default_factory=dict, hash=False)
    """By fold: the SHA-256 of the final checkpoint that was verified."""
    previous: "Member | None" = None
    """Of a cascade: the model whose segmentations it takes."""

    @property
    def identifier(self) -> str:
        """Name of its folder."""
        return model_folder(self.trainer_class, self.plans, self.configuration)

    @property
    def stages(self) -> "tuple[Member, ...]":
        """It and what it needs, the first stage first."""
        return (*(self.previous.stages if self.previous else ()), self)


@dataclass(frozen=True)
class ModelExport:
    """What is exported together."""

    dataset: str
    chosen: tuple[Member, ...]
    """The models to predict with; the probabilities of several are averaged where they are an ensemble."""
    ensemble: bool = False
    postprocessing: tuple[str, ...] | None = None
    """Of what a choice by cross-validation keeps the largest component, as the status names it, which may be nothing.
    None where there was no such choice."""
    mirroring: bool = True
    step_size: float = STEP_SIZE
    device: str = "cuda"

    @property
    def members(self) -> tuple[Member, ...]:
        """All models, those of previous stages included, each once."""
        return tuple({stage.identifier: stage for one in self.chosen for stage in one.stages}.values())

    @property
    def folders_of_choice(self) -> list[str]:
        """Folders in which nnU-Net's choice leaves the postprocessing: of what is chosen, by itself or as an ensemble.

        An ensemble is named after its two models, in the order in which they were compared.
        """
        if self.postprocessing is None:
            return []
        if not self.ensemble:
            return [f"{self.dataset}/{one.identifier}/crossval_results_folds_{_joined(one)}" for one in self.chosen]
        first, second = self.chosen
        return [
            f"{self.dataset}/ensembles/ensemble___{a.identifier}___{b.identifier}___{_joined(a)}"
            for a, b in ((first, second), (second, first))
        ]

    @property
    def applied_by(self) -> str:
        """Path of the dataset.json by which a postprocessing is applied."""
        return f"{self.dataset}/{self.chosen[0].identifier}/dataset.json"

    @property
    def required(self) -> list[str]:
        """Paths, seen from nnUNet_results, without which there is no model."""
        return [
            f"{self.dataset}/{one.identifier}/{name}"
            for one in self.members
            for name in (*_REQUIRED_OF_MODEL, *(f"fold_{fold}/{CHECKPOINT}" for fold in one.folds))
        ]

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of each checkpoint, by its path seen from nnUNet_results."""
        return {
            f"{self.dataset}/{one.identifier}/fold_{fold}/{CHECKPOINT}": sha256
            for one in self.members
            for fold, sha256 in one.hashes.items()
        }

    @property
    def files(self) -> list[str]:
        """Paths of all that an export holds, where it is there, seen from nnUNet_results: the large ones last."""
        of_model = [
            f"{self.dataset}/{one.identifier}/{name}"
            for one in self.members
            for name in (*_OF_MODEL, *(f"fold_{fold}/{name}" for fold in one.folds for name in _OF_FOLD))
        ]
        of_choice = [f"{folder}/{name}" for folder in self.folders_of_choice for name in _OF_CHOICE]
        return sorted([*of_model, *of_choice], key=lambda path: path.endswith(CHECKPOINT))


def instructions(export: ModelExport, exported: Sequence[str]) -> str:
    """Return the commands that predict new images as the training's evaluation predicts, for people and for a shell.

    `exported` are the paths that there are. INPUT and OUTPUT are variables of the shell: folders.
    """
    lines = [
        "# Commands that use this model; set INPUT, a folder of images named as in training, and OUTPUT, an empty one.",
        "# nnUNet_results is the folder into which nnUNetv2_install_pretrained_model_from_zip has put it.",
    ]
    pickles = [path for path in exported if path.endswith(POSTPROCESSING)]
    outputs = []
    for number, one in enumerate(export.chosen, start=1):
        together = len(export.chosen) > 1 or bool(pickles)
        outputs.append(one.configuration if together else "")
        lines += _predictions(export, one, outputs[-1], number)
    last = outputs[-1]
    if export.ensemble:
        last = "ensemble"
        members = " ".join(_in("OUTPUT", output) for output in outputs)
        lines.append(f"nnUNetv2_ensemble -i {members} -o {_in('OUTPUT', last)}")
    for pickle in pickles:
        folder = _of(pickle, export, outputs) if not export.ensemble else last
        of_model = export.applied_by.rpartition("/")[0]
        lines.append(
            f"nnUNetv2_apply_postprocessing -i {_in('OUTPUT', folder)} -o {_in('OUTPUT', f'{folder}_postprocessed')} "
            f"-pp_pkl_file {_in('nnUNet_results', pickle)} "
            f"-plans_json {_in('nnUNet_results', f'{of_model}/plans.json')} "
            f"-dataset_json {_in('nnUNet_results', export.applied_by)}"
        )
    return "\n".join(lines) + "\n"


def _in(variable: str, path: str) -> str:
    """Return a path in the folder that a variable of the shell holds; no name in it is anything else to the shell."""
    return f'"${variable}"/{shlex.quote(path)}' if path else f'"${variable}"'


def _of(pickle: str, export: ModelExport, outputs: Sequence[str]) -> str:
    """Return the output of the model whose postprocessing this is."""
    pairs = zip(export.chosen, outputs, strict=True)
    return next(output for one, output in pairs if pickle.startswith(f"{export.dataset}/{one.identifier}/"))


def _predictions(export: ModelExport, one: Member, output: str, number: int) -> list[str]:
    lines, before = [], ""
    for stage in one.stages:
        target = _in("OUTPUT", output if stage is one else f"previous_stage_{number}_{stage.configuration}")
        names = ("-tr", stage.trainer_class, "-c", stage.configuration, "-p", stage.plans)
        words = [
            f'nnUNetv2_predict -d {shlex.quote(export.dataset)} -i "$INPUT" -o {target}',
            shlex.join(["-f", *stage.folds, *names]),
        ]
        words += [f"-prev_stage_predictions {before}"] if before else []
        words += ["--disable_tta"] if not export.mirroring else []
        words += [f"-step_size {export.step_size:g}"] if export.step_size != STEP_SIZE else []
        words += ["--save_probabilities"] if export.ensemble and stage is one else []
        words += ["-device cpu"] if export.device == "cpu" else []
        lines.append(" ".join(words))
        before = target
    return lines


def _joined(one: Member) -> str:
    return "_".join(one.folds)
