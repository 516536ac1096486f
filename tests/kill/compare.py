"""Whether two runs came to the same end: weights, history, scores."""

from pathlib import Path
from typing import Any

import torch

from nnunet_trainer.process.files import read_json
from nnunet_trainer.run.paths import BEST, FINAL
from tests.trainer.world import World

CLOCK = ("epoch_start_timestamps", "epoch_end_timestamps")
"""Parts of the history that follow the clock and not the training."""


def differences(one: World, other: World, evaluated: bool) -> list[str]:
    """Return what differs between two runs of one contract in two places; empty where they are the same."""
    found = differences_of_folds(one.fold(), other.fold())
    for name in ("test_summary.json", "summary.json") if evaluated else ():
        found += _differences_of_scores(one.run / name, other.run / name)
    return found


def differences_of_folds(one: Path, other: Path) -> list[str]:
    """Return what differs between the folders of two runs of one fold; empty where they are the same."""
    found = []
    for name in (FINAL, BEST):
        found += [f"{what} in {name}" for what in _differences_of(_checkpoint(one, name), _checkpoint(other, name))]
    summary = Path("validation", "summary.json")
    return found + _differences_of_scores(one / summary, other / summary)


def _differences_of_scores(one: Path, other: Path) -> list[str]:
    same = _without_folders(read_json(one)) == _without_folders(read_json(other))
    return [] if same else [f"scores {one.name} in {one.parent.name}"]


def _differences_of(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    found = [
        f"weights {name}"
        for name, weights in first["network_weights"].items()
        if not torch.equal(weights, second["network_weights"][name])
    ]
    if first["current_epoch"] != second["current_epoch"]:
        found.append("epochs")
    for key in sorted(first["logging"].keys() | second["logging"].keys()):
        if key not in CLOCK and not _same(first["logging"].get(key), second["logging"].get(key)):
            found.append(f"history {key}")
    return found


def leftovers(world: World) -> list[str]:
    """Return the temporary files that are left in the claims."""
    return sorted(str(path.relative_to(world.root)) for path in (world.root / "nnunet").rglob(".tmp-*"))


def _checkpoint(fold: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(fold / name, map_location="cpu", weights_only=False)
    return content


def _same(one: object, other: object) -> bool:
    # NaN differs from itself; printed, it does not. Floats are printed to the last bit.
    return repr(one) == repr(other)


def _without_folders(content: Any) -> Any:
    """Return scores without the files that they are about, which lie elsewhere in each run."""
    if isinstance(content, dict):
        return {key: _without_folders(value) for key, value in content.items() if not key.endswith("_file")}
    if isinstance(content, list):
        return [_without_folders(value) for value in content]
    return repr(content)
