"""nnU-Net's aggregation of the scores of single cases, and that of samples of them. Pure.

Cases of one patient are no independent ones: where patients are known, samples are of patients, whole.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

Array = Any
"""A NumPy array."""


def numbered(patients: Iterable[Any]) -> tuple[int, ...]:
    """Return the number of each case's patient, from 0 in the order of the cases, from any name or number of it."""
    known: dict[Any, int] = {}
    return tuple(known.setdefault(one, len(known)) for one in patients)


def counts_of_cases(counts: Array, patients: Array) -> Array:
    """Return how often samples hold each case, from how often they hold each patient: all of a patient's come along.

    Source: Davison and Hinkley, Bootstrap Methods and their Application (1997), 3.8 (clusters drawn whole); Field and
    Welsh 2007, doi 10.1111/j.1467-9868.2007.00593.x (the randomized cluster bootstrap).

    Args:
        counts: shape (samples, patients).
        patients: number of each case's patient; shape (cases,).

    Returns:
        Shape (samples, cases).
    """
    return counts[:, patients]


def aggregate(values: Array) -> Array:
    """Return nnU-Net's foreground mean: over the cases that have a score of a class, then over the classes.

    Args:
        values: shape (..., cases, classes), NaN where there is no score.

    Returns:
        Shape (...); NaN where there is no score at all.
    """
    return mean_of_known(mean_of_known(values, -2), -1)


def aggregate_counted(values: Array, counts: Array) -> Array:
    """Return `aggregate` of samples of the cases, each given by how often it holds each case.

    Args:
        values: shape (replicates, cases, classes).
        counts: shape (samples, cases).

    Returns:
        Shape (samples, replicates).
    """
    replicates, cases, classes = values.shape
    flat = np.moveaxis(values, 1, 0).reshape(cases, replicates * classes)
    defined = ~np.isnan(flat)
    with np.errstate(invalid="ignore", divide="ignore"):
        if defined.all():
            means = (counts @ flat) / counts.sum(1, keepdims=True)
        else:
            means = (counts @ np.where(defined, flat, 0.0)) / (counts @ defined.astype(float))
    return mean_of_known(means.reshape(len(counts), replicates, classes), -1)


def mean_of_known(values: Array, axis: int) -> Array:
    """Return the mean of what is no NaN; NaN, without a warning, where there is nothing else."""
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(defined, values, 0.0).sum(axis) / defined.sum(axis)
