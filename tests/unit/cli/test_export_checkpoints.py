"""A checkpoint that leaves the cluster holds weights and plain data, and runs nothing where it is loaded."""

import codecs
import hashlib
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnunet_cli.errors import CliError, ExitCode
from tests.unit.cli.exporting import (
    DATASET,
    chosen,
    doubled,
    exported,
    model,
    run_folder,
    training,
    weights,
    weights_with,
    write,
)


class Runs:
    """Unpickling it calls a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> Any:
        return self._call


class Keyed:
    """Unpickling it takes a dict with a key of pairs of pairs, a hundred deep: 2^100 steps to hash."""

    def __reduce__(self) -> Any:
        key: Any = ()
        for _ in range(100):
            key = (key, key)
        return OrderedDict, (), None, None, iter([(key, 1)])


def before_it(data: bytes) -> bytes:
    """A pickle, which torch takes to be all, before the zip file that was verified."""
    return pickle.dumps({"epochs": 1000}, 2) + data


def another_before_it(data: bytes) -> bytes:
    return weights_with("2d", 0, epochs=1000) + data


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: weights_with("2d", 0, extra=Runs(open, "/tmp/attacked", "w")), r"it names _?io\.open"),
        (lambda: weights_with("2d", 0, extra=Runs(eval, "1")), r"it names (__builtin__|builtins)\.eval"),
        (lambda: weights_with("2d", 0, extra=Path("/")), "it names (pathlib|copy_?reg)"),
        (lambda: weights_with("2d", 0, extra=np.array([print], dtype=object)), "it has numbers of type O"),
        (lambda: weights_with("2d", 0, extra=Runs(codecs.encode, doubled(), "latin1")), "where a text belongs"),
        (lambda: weights_with("2d", 0, extra=Runs(np.dtype, doubled())), r"it has numbers of type \[\["),
        (lambda: weights_with("2d", 0, extra=Keyed()), "it has keys of so many parts"),
        (lambda: before_it(weights("2d", 0)), "it says in two ways where its records are"),
        (lambda: another_before_it(weights("2d", 0)), "it says in two ways where its records are"),
        (lambda: b"no zip at all", "it is not a zip file"),
    ],
)
def test_a_verified_checkpoint_that_runs_code_where_it_is_loaded_does_not_leave(
    tmp_path: Path, made: Callable[[], bytes], words: str
) -> None:
    """Verification reads past what a training's image has put into its checkpoints; plain nnU-Net loads all of it."""
    run, body, data = run_folder(tmp_path, "2d"), training("2d"), made()
    write(run / DATASET / model("2d") / "fold_1/checkpoint_final.pth", data)
    body["status"]["folds"][1]["checkpointHash"] = hashlib.sha256(data).hexdigest()
    with pytest.raises(CliError, match=words) as caught:
        exported(tmp_path, chosen(body), tmp_path / "model.zip")
    assert caught.value.exit_code == ExitCode.FOUND and "fold_1" in str(caught.value)
    assert not (tmp_path / "model.zip").exists()


def test_what_nnunet_keeps_in_checkpoints_leaves(tmp_path: Path) -> None:
    kept: dict[str, Any] = {
        "weights": OrderedDict(),
        "best": np.float64(0.5),
        "losses": [np.float32(1), 0.5],
        "of_classes": np.arange(3.0),
        "axes": (0, 1),
        "further": {1, 2},
    }
    run, body, data = run_folder(tmp_path, "2d"), training("2d"), weights_with("2d", 0, **kept)
    write(run / DATASET / model("2d") / "fold_1/checkpoint_final.pth", data)
    body["status"]["folds"][1]["checkpointHash"] = hashlib.sha256(data).hexdigest()
    exported(tmp_path, chosen(body), tmp_path / "model.zip")
