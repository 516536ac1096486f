"""Which fold run of a training is meant. The only module that puts a fold run's name together or takes it apart."""

import re
from dataclasses import dataclass

_NAME = re.compile(r"(?P<fold>all|[0-9]+)(?:-r(?P<replicate>[1-9][0-9]*))?")


@dataclass(frozen=True)
class FoldKey:
    """One fold run: a configuration trained on one fold, once or as one of several replicates."""

    configuration: str
    """nnU-Net's name of the configuration."""
    fold: str
    """nnU-Net's name of the fold: "0" to "4", or "all"."""
    replicate: int | None = None
    """1 = first; None where everything is trained once."""

    @property
    def name(self) -> str:
        """How people, logs and the trainer's reports call it: "0", or "0-r2" for the second of several replicates.

        Unique in a training, which has one configuration.
        """
        return self.fold if self.replicate is None else f"{self.fold}-r{self.replicate}"

    @property
    def label(self) -> str:
        """Value of the fold's label, and the end of its Job's name."""
        return self.name

    @property
    def folder(self) -> str:
        """Name of its folder in the folder of its model, as nnU-Net calls it."""
        return f"fold_{self.fold}"

    @property
    def subject(self) -> str:
        """How sentences call it."""
        return f"fold {self.name}"

    @classmethod
    def parse(cls, name: str, configuration: str) -> "FoldKey":
        """Return the fold run that has this name in a training of `configuration`. Raises ValueError."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise ValueError(f"{name!r} is no name of a fold run: it is 0 to 4 or all, with -rN behind for replicate N")
        return cls(configuration, match["fold"], int(match["replicate"]) if match["replicate"] else None)


def fold_keys(configuration: str, folds: list[str], replicates: int) -> list[FoldKey]:
    """Return all fold runs of a training, replicate by replicate."""
    numbers = [None] if replicates == 1 else list(range(1, replicates + 1))
    return [FoldKey(configuration, fold, number) for number in numbers for fold in folds]


def replicate_folder(replicate: int | None) -> str:
    """Return nnU-Net's nnUNet_results of a replicate, seen from the run's folder: that itself where there is one."""
    return "" if replicate is None else f"replicate-{replicate}"
