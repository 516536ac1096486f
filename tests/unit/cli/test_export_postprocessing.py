"""The postprocessing of an exported model is the one that was scored, and runs nothing but nnU-Net's own."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnunet_cli.errors import CliError
from tests.unit.cli.exporting import DATASET, OWN, chosen, doubled, exported, model, run_folder, steps, training, write

LABELS = {"background": 0, "anterior": 1, "a posterior part of whatever": [2], "ignore": 3}
POSTERIOR = "a posterior part of whatever"
REGIONS = {"background": 0, "whole": [1, 2], "core": 2}
EVERY = [np.int64(1), np.int64(2)]


class Attack:
    def __reduce__(self) -> Any:
        return (print, ("run",))


def postprocessed(root: Path, data: bytes, told: list[str], labels: Any = None) -> tuple[str, list[str]]:
    """Export what was chosen, with that postprocessing.pkl; return its path and all that is exported."""
    run = run_folder(root, "2d", "3d_fullres")
    results = {"selection": {"chosen": ["3d_fullres"], "postprocessing": told}}
    body = training("2d", "3d_fullres", spec={"selection": {}}, results=results)
    folder = f"{DATASET}/{model('3d_fullres')}"
    pickled = f"{folder}/crossval_results_folds_0_1/postprocessing.pkl"
    write(run / pickled, data)
    write(run / folder / "dataset.json", json.dumps({"labels": LABELS if labels is None else labels}).encode())
    return pickled, exported(root, chosen(body), root / "model.zip")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (steps(1, function=("os", "system")), "it names os.system"),
        (pickle.dumps(([], [Attack()])), "it names builtins.print"),
        (steps(np.float64(1)), "it has a number of type f8"),
        (steps(np.array([1])), "it names numpy"),
        (pickle.dumps([1]), ""),
        (b"no pickle", ""),
        (pickle.dumps(([], [1])), "it holds something else"),
        (steps(1, background_label=2), "it holds something else"),
        (steps(7), "the largest component of 7, which dataset.json has no name for"),
        (steps(doubled()), r"the largest component of \[\["),
        (steps([1]), r"the largest component of \[1\], which dataset.json has no name for"),
        (b"((lc" + "\n".join(OWN).encode() + b"\n(N(dS'__defaults__'\n(I5\ntstba(lt.", "changes the function"),
    ],
)
def test_a_postprocessing_runs_nothing_but_nnunets_own(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(CliError, match=f"is no postprocessing of nnU-Net: .*{words}"):
        postprocessed(tmp_path, data, ["anterior"])


@pytest.mark.parametrize(
    ("data", "told", "labels"),
    [
        (steps(), [], LABELS),
        (steps(EVERY), ["all foreground"], LABELS),
        (steps(EVERY, np.int64(1)), ["all foreground", "anterior"], LABELS),
        (steps(1, 2), ["anterior", POSTERIOR], LABELS),
        (steps((1, 2), 2), ["whole", "core"], REGIONS),
        (steps(EVERY, (1, 2)), ["all foreground", "whole"], REGIONS),
        (steps(*range(1, 13)), [*(f"c{i}" for i in range(1, 9)), "and 4 more"], {f"c{i}": i for i in range(13)}),
        (steps(1), ["n" * 32], {"background": 0, "n" * 90: 1}),
        (steps(1), ["a�b"], {"background": 0, "a\x1bb": 1}),
        (steps(1), ["and 2 more"], {"background": 0, "and 2 more": 1}),
    ],
)
def test_a_postprocessing_that_was_scored_leaves(tmp_path: Path, data: bytes, told: list[str], labels: Any) -> None:
    """The status cuts long lists and names short."""
    pickled, names = postprocessed(tmp_path, data, told, labels)
    assert pickled in names and not any("__2d/" in name for name in names)


@pytest.mark.parametrize(
    ("data", "told", "labels", "words"),
    [
        (steps(2), ["anterior"], LABELS, f"of {POSTERIOR}, and the status says that of anterior"),
        (steps(), ["anterior"], LABELS, "of nothing, and the status says that of anterior"),
        (steps(1), [], LABELS, "of anterior, and the status says that of nothing"),
        (steps(2, 1), ["anterior", POSTERIOR], LABELS, f"of {POSTERIOR} and anterior, and"),
        (steps(EVERY), ["anterior"], LABELS, "of all foreground, and"),
        (steps(1, 2), ["anterior", "and 2 more"], LABELS, "of anterior and"),
        (steps(1), ["anterior"], {**LABELS, "anterior": 2, POSTERIOR: 1}, f"of {POSTERIOR}, and"),
        (steps(1), ["a"], LABELS, "of anterior, and the status says that of a:"),
    ],
)
def test_another_postprocessing_than_the_scored_one_does_not_leave(
    tmp_path: Path, data: bytes, told: list[str], labels: Any, words: str
) -> None:
    with pytest.raises(CliError, match=f"keeps the largest component {words}"):
        postprocessed(tmp_path, data, told, labels)
    assert not (tmp_path / "model.zip").exists()
