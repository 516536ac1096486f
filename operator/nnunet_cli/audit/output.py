"""The list of runs as a table, as CSV and as data."""

import json
from collections.abc import Mapping
from typing import Any

from nnunet_api.csv_text import csv_text
from nnunet_api.policy.status import AcceptedComparison, PolicyDecision
from nnunet_api.results import Results
from nnunet_api.standard import number_text
from nnunet_api.status import NnunetTrainingStatus, Provenance
from nnunet_cli.audit.runs import Run, utc
from nnunet_cli.text.output import print_table

_NONE = Run("", "", "", "", None, None, "", "", NnunetTrainingStatus())
"""For the titles."""


def columns(run: Run) -> dict[str, str]:
    """Return all columns of a run, in their order. None of them may be renamed or moved: scripts read them."""
    compliant, reason = run.compliant
    made_of, results = run.status.provenance or Provenance(), run.status.results or Results()
    return {
        "namespace": run.namespace,
        "name": run.name,
        "uid": run.uid,
        "phase": run.status.phase.value if run.status.phase else "",
        "created": run.created,
        "started": utc(run.status.start_time),
        "completed": utc(run.status.completion_time),
        "epochsRequired": _number(run.epochs_required),
        "epochsAsked": _number(run.epochs_asked),
        "epochsProven": _number(run.epochs_proven),
        "compliant": compliant,
        "compliantReason": reason,
        "policies": "; ".join(_decision(decision) for decision in run.decisions),
        "exceptionTickets": "; ".join(granted.ticket for granted in run.exceptions),
        "exceptionApprovedBy": "; ".join(granted.approved_by for granted in run.exceptions),
        "exceptionFloors": "; ".join(_number(granted.min_epochs) for granted in run.exceptions),
        "datasetHash": made_of.dataset_hash or "",
        "plansHash": made_of.plans_hash or "",
        "splitsHash": made_of.splits_hash or "",
        "checkpointHashes": "; ".join(f"{fold}:{digest}" for fold, digest in run.checkpoints),
        "image": made_of.image or "",
        "imageDigest": made_of.image_digest or "",
        "resultsClaim": run.results_claim,
        "evidencePath": made_of.evidence_path or "",
        "iterationsPerEpoch": _number(run.iterations_asked),
        "validationDice": _dice(results.validation_dice),
        "testDice": _dice(results.test_dice.mean if results.test_dice else None),
        "trainerClass": run.trainer_class,
        "iterationsProven": _number(run.iterations_proven),
        "learningRate": "" if run.learning_rate is None else number_text(run.learning_rate),
        "networkWeights": _number(run.network_weights),
        "standardSchedule": run.standard[0],
        "standardScheduleMessage": run.standard[1],
        "comparisons": "; ".join(_accepted(one) for one in run.accepted),
        "testSetHash": run.test_set_hash,
        "testSetLooks": _number(run.test_set_looks),
        "initialWeightsHash": made_of.initial_weights.sha256 if made_of.initial_weights else "",
        "chosen": " + ".join(results.selection.chosen) if results.selection else "",
        "postprocessing": "; ".join(results.selection.postprocessing) if results.selection else "",
        "configurations": "; ".join(run.configurations),
        "splits": _settings(run.splits),
        "inference": _settings(run.inference),
        "slippedIn": "; ".join(f"{one.what} ({', '.join(one.where)})" for one in made_of.slipped_in or ()),
        "pictures": "true" if run.pictures else "",
    }


def as_csv(runs: list[Run]) -> str:
    """Return a line for each run and one of titles."""
    return csv_text([columns(_NONE), *(columns(run).values() for run in runs)])


def runs_data(runs: list[Run]) -> dict[str, Any]:
    """Return what scripts read: lists in the place of joined texts, and the exceptions in full."""
    return {"items": [_item(run) for run in runs]}


def print_runs(runs: list[Run]) -> None:
    """Print the columns that fit a terminal."""
    titles = ("NAMESPACE", "NAME", "PHASE", "REQUIRED", "ASKED", "ITERATIONS", "PROVEN")
    rows = []
    for run in runs:
        cells = columns(run)
        verdict = " ".join(part for part in (cells["compliant"], cells["compliantReason"]) if part)
        keys = ("namespace", "name", "phase", "epochsRequired", "epochsAsked", "iterationsPerEpoch", "epochsProven")
        shown = [cells[key] for key in keys]
        rows.append([*shown, verdict, cells["policies"], cells["exceptionTickets"]])
    print_table((*titles, "COMPLIANT", "POLICIES", "TICKETS"), rows)


def _decision(decision: PolicyDecision) -> str:
    broken = f" ({', '.join(decision.broken_rules)})" if decision.broken_rules else ""
    return f"{decision.policy}@{decision.generation} {decision.mode} {decision.outcome}{broken}"


def _accepted(one: AcceptedComparison) -> str:
    return f"{one.policy}: {one.comparison} {one.verdict} {one.difference:+.4f} ({one.low:+.4f} to {one.high:+.4f})"


def _item(run: Run) -> dict[str, Any]:
    results = run.status.results or Results()
    item: dict[str, Any] = {key: value or None for key, value in columns(run).items()}
    for key in [key for key in item if key.startswith("exception")]:
        del item[key]
    item |= {
        "epochsRequired": run.epochs_required,
        "epochsAsked": run.epochs_asked,
        "epochsProven": run.epochs_proven,
        "iterationsPerEpoch": run.iterations_asked,
        "iterationsProven": run.iterations_proven,
        "learningRate": run.learning_rate,
        "networkWeights": run.network_weights,
        "validationDice": results.validation_dice,
        "testDice": results.test_dice.mean if results.test_dice else None,
        "policies": [decision.to_json_dict() for decision in run.decisions],
        "exceptions": [granted.to_json_dict() for granted in run.exceptions],
        "checkpointHashes": dict(run.checkpoints),
        "comparisons": [one.to_json_dict() for one in run.accepted],
        "testSetLooks": run.test_set_looks,
        "chosen": results.selection.chosen if results.selection else None,
        "postprocessing": results.selection.postprocessing if results.selection else None,
        "configurations": list(run.configurations),
        "splits": dict(run.splits) or None,
        "inference": dict(run.inference) or None,
        "pictures": run.pictures,
    }
    return item


def _settings(given: Mapping[str, Any]) -> str:
    words = {key: value if isinstance(value, str) else json.dumps(value) for key, value in given.items()}
    return ", ".join(f"{key}: {words[key]}" for key in sorted(words))


def _dice(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _number(value: int | None) -> str:
    return "" if value is None else str(value)
