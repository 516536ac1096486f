"""Where a training's models lie, as nnU-Net names their folders: made of the spec, not of what pods report. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from nnunet_api.contract import PLAIN_NAME
from nnunet_api.fold_key import replicate_folder
from nnunet_api.folders import inside, model_folder


@dataclass(frozen=True)
class Models:
    """The model folders of a training, of which only the name of the plans is to be learnt."""

    run: str
    """The run's folder, from the root of the claim."""
    dataset: str
    trainer_class: str
    configurations: tuple[str, ...]
    replicates: int = 1

    def path(self, configuration: str, plans: str) -> str:
        """Return the model folder of a configuration (of the first replicate), from the root of the claim."""
        name = model_folder(self.trainer_class, plans, configuration)
        results = inside(self.run, replicate_folder(1 if self.replicates > 1 else None))
        return f"{results}/{self.dataset}/{name}"

    def plans_name(self, known: str | None, told: Iterable[str | None] = ()) -> str | None:
        """Return the name of the plans: what planning has reported, else that in a path which is one of these models.

        Paths that were `told` by the training's own image, from the root of the claim, count for nothing else. None
        where there is no plain name.
        """
        names = [known] if known else [self._plans_in(path) for path in told]
        return next((name for name in names if name and re.fullmatch(PLAIN_NAME, name)), None)

    def _plans_in(self, path: str | None) -> str | None:
        for configuration in self.configurations:
            before, after = self.path(configuration, "\0").split("\0")
            if path and len(path) > len(before + after) and path.startswith(before) and path.endswith(after):
                return path[len(before) : len(path) - len(after)]
        return None
