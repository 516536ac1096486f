"""Segmentations that are whole when they are there, so that an interrupted prediction goes on case by case.

nnU-Net writes them in place, and its readers don't notice: ITK reads a NIfTI file that was cut short without an error.
"""

import errno
import json
import logging
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from nnunet_api.dataset.truncation import cut_short
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.process.files import TEMPORARY, fsync_file, read_json, temporary_path, to_json, write_json
from nnunet_trainer.run.fence import Fence
from nnunet_trainer.scoring.probabilities import PROBABILITIES, PROPERTIES, whole_probabilities

log = logging.getLogger(__name__)

INPUTS_FILE = "inputs.json"
"""Beside predictions: a hash of what each of them is made from."""


def export_atomically(
    logits: Any,
    properties: dict[str, Any],
    configuration_manager: Any,
    plans_manager: Any,
    dataset_json: dict[str, Any],
    output_file_truncated: str,
    save_probabilities: bool = False,
    *,
    fence: Fence | None = None,
) -> None:
    """Take the place of nnU-Net's export_prediction_from_logits: write beside the target, flush, rename.

    With a fence, raises TrainerError with PREEMPTED instead of renaming when another attempt has taken over.
    """
    from nnunetv2.inference.export_prediction import export_prediction_from_logits

    target = Path(output_file_truncated)
    temporary = fence.temporary(target) if fence else temporary_path(target)
    try:
        export_prediction_from_logits(
            logits, properties, configuration_manager, plans_manager, dataset_json, str(temporary), save_probabilities
        )
        endings = [dataset_json["file_ending"], *([PROBABILITIES, PROPERTIES] if save_probabilities else [])]
        endings = made_durable(temporary, endings)
    except Exception:
        if fence:
            # Whoever has taken over removes what this attempt was writing: no failure of the volume.
            fence.check()
        raise
    if fence:
        try:
            fence.check()
        except TrainerError:
            for ending in endings:
                temporary.with_name(temporary.name + ending).unlink(missing_ok=True)
            raise
    rename(temporary, target, endings)


def put_in_place(temporary: Path, target: Path, endings: Sequence[str]) -> None:
    """Flush files that were written under a temporary name and rename them; names are without their endings."""
    rename(temporary, target, made_durable(temporary, endings))


def made_durable(temporary: Path, endings: Sequence[str]) -> list[str]:
    """Flush files, all with one name but for their endings; return those, with that of the spacing beside a tif."""
    found = list(endings)
    if temporary.with_name(f"{temporary.name}.json").exists():
        # The spacing, beside a tif that can't hold it.
        found.append(".json")
    for ending in found:
        _make_durable(temporary.with_name(temporary.name + ending))
    return found


def rename(temporary: Path, target: Path, endings: Sequence[str]) -> None:
    """Rename files that are whole. The one with the first ending last: it is what counts as done."""
    for ending in reversed(endings):
        temporary.with_name(temporary.name + ending).replace(target.with_name(target.name + ending))


def _make_durable(written: Path) -> None:
    fsync_file(written)
    if not written.stat().st_size or cut_short([written]):
        # ITK reports no error when it writes to a full volume.
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(written))


def make_exports_atomic(*modules: Any, fence: Fence | None = None) -> None:
    """Let the nnU-Net modules that call export_prediction_from_logits by its global name call ours."""
    for module in modules:
        assert hasattr(module, "export_prediction_from_logits"), f"{module.__name__} exports in another way now"
        module.export_prediction_from_logits = partial(export_atomically, fence=fence)


def fence_notes(module: Any, fence: Fence) -> None:
    """Let a module of nnU-Net write its JSON files, the notes beside predictions, by the right to write.

    They are whole when they are there, and raise TrainerError with PREEMPTED when another attempt has taken over.
    """
    assert hasattr(module, "save_json"), f"{module.__name__} writes its notes in another way now"

    def save_json(content: Any, file: str, indent: int = 4, sort_keys: bool = True) -> None:
        fence.write(Path(file), json.dumps(content, indent=indent, sort_keys=sort_keys), durable=False)

    module.save_json = save_json


def pass_over_unfinished(*modules: Any) -> None:
    """Let nnU-Net modules that list folders by the global name subfiles not see what is being written.

    An attempt that was replaced may write one more file after what it had left was removed.
    """
    from batchgenerators.utilities.file_and_folder_operations import subfiles

    def finished(*args: Any, **kwargs: Any) -> list[str]:
        found: list[str] = subfiles(*args, **kwargs)
        return [path for path in found if not Path(path).name.startswith(TEMPORARY)]

    for module in modules:
        assert hasattr(module, "subfiles"), f"{module.__name__} lists folders in another way now"
        module.subfiles = finished


def whole_ones(folder: Path, ending: str, probabilities: bool = False) -> set[str]:
    """Return the cases whose segmentation is in the folder; remove what an interruption left of others.

    With `probabilities` only those whose probabilities are there, too.
    """
    for path in [*folder.glob(f"{TEMPORARY}*"), *cut_short(folder.glob(f"*{ending}"))]:
        path.unlink(missing_ok=True)
    found = {path.name.removesuffix(ending) for path in folder.glob(f"*{ending}")}
    return found & whole_probabilities(folder) if probabilities else found


def fresh_ones(folder: Path, ending: str, inputs: Mapping[str, str], fence: Fence | None = None) -> set[str]:
    """Return the cases that are predicted from the same inputs already; remove every other prediction.

    `inputs` has a hash for each case that is to be scored. It is kept in the folder, and compared the next time. With a
    fence, raises TrainerError with PREEMPTED when another attempt has taken over.
    """
    if fence:
        fence.check()
    earlier = _read_inputs(folder / INPUTS_FILE)
    present = whole_ones(folder, ending)
    fresh = {case for case in present if case in inputs and earlier.get(case) == inputs[case]}
    for case in sorted(present - fresh):
        log.info("removing the prediction of %s: made from other images or another model", case)
        (folder / f"{case}{ending}").unlink()
    # After the removal and before new predictions: what is there always has the hash that is noted, or none at all.
    if fence:
        fence.write(folder / INPUTS_FILE, to_json(dict(inputs)))
    else:
        write_json(folder / INPUTS_FILE, dict(inputs))
    return fresh


def _read_inputs(path: Path) -> dict[str, str]:
    try:
        content: dict[str, str] = read_json(path)
    except FileNotFoundError:
        return {}
    except ValueError as error:
        log.warning("%s can't be read, everything is predicted again: %s", path.name, error)
        return {}
    return content
