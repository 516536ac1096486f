"""The scores of single cases that a comparison rests on: read from the log of its Job, written as CSV."""

from collections.abc import Sequence

from pydantic import ValidationError

from nnunet_api.comparison.log import ComparisonLog, log_hash
from nnunet_api.csv_text import csv_text
from nnunet_api.labels import COMPARISON_LABEL, short_name
from nnunet_cli.errors import CliError
from nnunet_cli.kube.answer import Refused
from nnunet_cli.kube.cluster import Cluster
from nnunet_cli.kube.comparisons import Found
from nnunet_cli.kube.pods import creation, ended

Missing = str
"""Why there is no log, in words."""


def read_scores(cluster: Cluster, found: Found) -> ComparisonLog | Missing:
    """Return what the Job of a comparison left in its log: the line whose hash the status has, and no other."""
    wanted = found.status.log_hash
    if not wanted:
        return "the verdict was computed by an image that left none"
    try:
        pods = cluster.pods(found.namespace, f"{COMPARISON_LABEL}={short_name(found.name)}")
        for pod in sorted(pods, key=creation, reverse=True):
            if ended(pod) is None:
                continue
            for line in cluster.log(found.namespace, pod["metadata"]["name"]):
                if line.startswith("{") and log_hash(line) == wanted:
                    return ComparisonLog.model_validate_json(line)
    except Refused as refused:
        if refused.answer.forbidden:
            return f"you may not read pods and their logs ({refused})"
        return f"it can't be read any more ({refused})"
    except ValidationError:
        return "it is that of another version: use a kubectl nnunet of the operator's version"
    except CliError as error:
        return f"it can't be read: {error}"
    return "its pod is gone, or its log is not the one that the operator has seen"


def as_csv(found: ComparisonLog, arms: Sequence[str]) -> str:
    """Return a line for each case and a column for each arm, `case_id,alg_*`: the mean over replicates and classes.

    Where it is known whose the cases are, the last column has the number of the patient.
    """
    columns = [case_means(found, arm) for arm in arms]
    lines = [
        [
            case,
            *(_cell(column[place : place + 1]) for column in columns),
            *(str(one) for one in found.patients[place : place + 1]),
        ]
        for place, case in enumerate(found.case_names)
    ]
    return csv_text([["case_id", *(f"alg_{arm}" for arm in arms), *(["patient"] if found.patients else [])], *lines])


def _cell(values: Sequence[float | None]) -> str:
    """Return the cell of one value, empty where there is none."""
    return "".join(f"{value:.6f}" for value in values if value is not None)


def case_means(found: ComparisonLog, arm: str) -> list[float | None]:
    """Return the Dice of each case: the mean over the replicates of an arm, None where no replicate has one."""
    rows = [one.cases for one in found.replicates if one.arm == arm and one.cases]
    return [_mean([value for value in values if value is not None]) for values in zip(*rows, strict=False)]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
