"""Builders of scores for the tests of what is made of them."""

import math
from typing import Any

from nnunet_api.contract import FoldEvidence
from nnunet_trainer.scoring.results import Replicate, Results
from nnunet_trainer.scoring.scores import EnsembleScores

NAN = math.nan
LABELS = {"background": 0, "liver": 1, "tumour": 2}


def ensemble(liver: float = 0.8, **changes: Any) -> EnsembleScores:
    """Return the scores of two test cases, of which the second holds no tumour."""
    settings: dict[str, Any] = {
        "dice": {"a": {"1": liver, "2": 0.5}, "b": {"1": liver, "2": NAN}},
        "nsd": {"a": {"1": 0.9, "2": 0.6}, "b": {"1": 0.7, "2": NAN}},
        "hd95": {"a": {"1": 2.0, "2": 6.0}, "b": {"1": 4.0, "2": NAN}},
        "missing": {"a": {}, "b": {}},
    }
    return EnsembleScores(**settings | changes)


def replicate(number: int = 1, of: int = 1, dice: float = 0.8, **changes: Any) -> Replicate:
    """Return a replicate with two folds of a validation case each, and test scores."""
    suffix = f"-r{number}" if of > 1 else ""
    settings: dict[str, Any] = {
        "replicate": number,
        "seed": None if of == 1 else 6 + number,
        "model_path": f"imaging/run/model{suffix}",
        "validation": {f"0{suffix}": {"c": {"1": dice, "2": 0.4}}, f"1{suffix}": {"d": {"1": dice, "2": NAN}}},
        "test": ensemble(dice),
    }
    return Replicate(**settings | changes)


def results(*replicates: Replicate) -> Results:
    """Return results of a dataset with two classes."""
    return Results(replicates, LABELS)


def evidence(*folds: str, epochs: int = 1000) -> dict[str, FoldEvidence]:
    """Return evidence for folds that were trained over the whole schedule."""
    return {fold: FoldEvidence(fold=fold, epochs=epochs, checkpoint_hash="0" * 64) for fold in folds}
