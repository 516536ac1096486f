"""Which fold run of a training is meant. The only module that puts a fold run's name together or takes it apart."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

_NAME = re.compile(r"(?:(?P<configuration>[A-Za-z0-9_]+)-)?(?P<fold>all|[0-9]+)(?:-r(?P<replicate>[1-9][0-9]*))?")
MAX_TRAINED_CONFIGURATIONS = 8
"""Configurations of one training."""


@dataclass(frozen=True)
class FoldKey:
    """One fold run: a configuration trained on one fold, once or as one of several replicates."""

    configuration: str
    """nnU-Net's name of the configuration."""
    fold: str
    """nnU-Net's name of the fold: a number from "0" on, or "all"."""
    replicate: int | None = None
    """1 = first; None where everything is trained once."""
    of_several: bool = field(default=False, compare=False)
    """Its training has several configurations: only then is the configuration part of its name."""

    @property
    def name(self) -> str:
        """How people, logs and the trainer's reports call it.

        "0", or "0-r2" for the second of several replicates; "2d-0" and "2d-0-r2" where the training has several
        configurations. Unique in a training.
        """
        name = self.fold if self.replicate is None else f"{self.fold}-r{self.replicate}"
        return f"{self.configuration}-{name}" if self.of_several else name

    @property
    def label(self) -> str:
        """Value of the fold's label."""
        return self.name

    @property
    def job_suffix(self) -> str:
        """End of its Job's name, in which Kubernetes takes small letters, digits and - only.

        Unique in a training, whose configurations differ in more than capital letters.
        """
        return self.name.lower().replace("_", "-")

    @property
    def folder(self) -> str:
        """Name of its folder in the folder of its model, as nnU-Net calls it."""
        return f"fold_{self.fold}"

    @property
    def subject(self) -> str:
        """How sentences call it."""
        return f"fold {self.name}"

    @classmethod
    def parse(cls, name: str, configuration: str = "") -> "FoldKey":
        """Return the fold run that has this name; `configuration` is that of a training with no other.

        Raises ValueError.
        """
        match = _NAME.fullmatch(name)
        if match is None:
            raise ValueError(
                f"{name!r} is no name of a fold run: it is the number of a fold or all, with -rN behind for replicate "
                "N, and CONFIGURATION- before where there are several"
            )
        own = match["configuration"]
        replicate = int(match["replicate"]) if match["replicate"] else None
        return cls(own or configuration, match["fold"], replicate, of_several=own is not None)


def fold_keys(
    configurations: Sequence[str], folds: Sequence[str], replicates: int, left_out: Sequence[str] = ()
) -> list[FoldKey]:
    """Return all fold runs of a training: configuration by configuration, and of each replicate by replicate.

    Those that are `left_out` have none, and count for whether there are several.
    """
    numbers = [None] if replicates == 1 else list(range(1, replicates + 1))
    return [
        FoldKey(configuration, fold, number, of_several=len(configurations) > 1)
        for configuration in configurations
        if configuration not in left_out
        for number in numbers
        for fold in folds
    ]


def replicate_folder(replicate: int | None) -> str:
    """Return nnU-Net's nnUNet_results of a replicate, seen from the run's folder: that itself where there is one."""
    return "" if replicate is None else f"replicate-{replicate}"
