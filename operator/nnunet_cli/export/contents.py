"""What is in the small files of a model, which others may have written: nothing that runs code where it is used. Pure.

nnU-Net imports and calls what plans name, and unpickles the postprocessing, which must be the one that was scored.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from nnunet_api.model_export import POSTPROCESSING, ModelExport
from nnunet_api.plan_rules import plans_faults
from nnunet_api.told_steps import are_steps
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.export.postprocessing import named_steps, read_steps
from nnunet_cli.text.words import listed

_REMEDY = "It is not what nnU-Net writes, so it is not exported: look at who can write to the results claim"


@dataclass
class Contents:
    """Looks at the files of a model one after the other, in the order of `ModelExport.files`."""

    export: ModelExport
    labels: Any = field(default=None, init=False)
    """Of the dataset.json by which the postprocessing is applied."""

    def require_harmless(self, path: str, data: bytes) -> None:
        """Raise CliError where it names what nnU-Net's own would not, or is a postprocessing that was not scored.

        `path` is seen from nnUNet_results.
        """
        name = path.rpartition("/")[2]
        if name == POSTPROCESSING:
            self._require_scored(path, data)
        elif name.endswith(".json"):
            content = _json(path, name, data)
            if path == self.export.applied_by and isinstance(content, dict):
                self.labels = content.get("labels")

    def _require_scored(self, path: str, data: bytes) -> None:
        try:
            steps = named_steps(read_steps(data), self.labels)
        except ValueError as error:
            raise CliError(f"{path} is no postprocessing of nnU-Net: {error}. {_REMEDY}", ExitCode.FOUND) from None
        scored = list(self.export.postprocessing or ())
        if not are_steps(scored, steps):
            words = f"{path} keeps the largest component of {listed(steps) or 'nothing'}, and the status says that of"
            what = f"{words} {listed(scored) or 'nothing'}: it is not the postprocessing that was chosen and scored"
            raise CliError(f"{what}. Restore the file and dataset.json, or train anew", ExitCode.FOUND)


def _json(path: str, name: str, data: bytes) -> Any:
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CliError(f"{path} is no JSON: {error}. {_REMEDY}", ExitCode.FOUND) from None
    if name == "plans.json":
        for fault in plans_faults(content):
            raise CliError(f"{path} can't be used: {fault}. {_REMEDY}", ExitCode.FOUND)
    return content
