"""What the tables of the page say: rows from results, evidence and settings. Pure, but for the pictures of scores."""

from collections.abc import Mapping, Sequence
from typing import Any

from nnunet_api.base import StatusModel
from nnunet_api.conditions import rfc3339
from nnunet_api.contract import FoldEvidence, PlanFacts, RunContract
from nnunet_api.facts import EarlyStopFacts, FoldProvenance
from nnunet_api.policy.status import AppliedPolicies, GrantedException
from nnunet_api.reasons import EarlyStoppingState
from nnunet_api.schedule import EarlyStoppingMode
from nnunet_api.standard import Asked, Trained, judge_training
from nnunet_api.words import counted
from nnunet_trainer.report.charts import Panel, by_class
from nnunet_trainer.scoring import results, scores

_LOWEST_CASES = 10
"""Test cases that are listed by name."""


def fixed(value: float | None, digits: int = 4) -> str:
    """Return a number with that many decimals, a dash for none."""
    return "–" if value is None else f"{value:.{digits}f}"


def schedule_warning(contract: RunContract, evidence: Mapping[str, FoldEvidence]) -> str | None:
    """Return how the training differs from nnU-Net's standard and what a shorter one costs; None for the standard."""
    asked = Asked(
        contract.planning,
        contract.configuration_names,
        contract.schedule,
        contract.early_stopping,
        contract.trainer_class,
        contract.initial_weights,
    )
    trained = Trained(
        [fold.iterations_per_epoch for fold in evidence.values() if fold.iterations_per_epoch is not None],
        [fold.highest_learning_rate for fold in evidence.values() if fold.highest_learning_rate is not None],
    )
    standard, _, words = judge_training(asked, trained)
    return None if standard else f"{words}."


def exception_rows(granted: GrantedException) -> list[tuple[str, Any]]:
    """Return what there is to know of an exception under which the model was trained."""
    left = f"all rules but {', '.join(granted.lifted_rules)}" if granted.lifted_rules else "all rules"
    if granted.min_epochs is not None:
        left += f", with at least {counted(granted.min_epochs, 'epoch')}"
    return [
        ("policy", granted.policy),
        ("ticket", granted.ticket),
        ("reason", granted.reason),
        ("approved by", granted.approved_by),
        ("left standing", left),
        ("counts until", rfc3339(granted.expires_at)),
    ]


def policy_rows(policy: AppliedPolicies) -> list[tuple[str, str]]:
    """Return the policies by name and what they came to."""
    rows = [("minEpochs", str(policy.min_epochs or "none"))]
    for decision in policy.decisions:
        words = [decision.outcome, f"mode {decision.mode}", f"generation {decision.generation}"]
        words += [f"not kept: {', '.join(decision.broken_rules)}"] if decision.broken_rules else []
        words += [f"ticket {decision.ticket}"] if decision.ticket else []
        rows.append((decision.policy, "; ".join(words)))
    return rows


def headline(contract: RunContract, found: results.Results) -> list[tuple[str, str, str]]:
    """Return (name, value, explanation) of the figures at the top."""
    runs = len(found.replicates)
    over = f", mean ± standard deviation of {runs} replicates" if runs > 1 else ""
    cases = len(results.dice_cases(found.replicates[0]))
    tolerance = f"at {contract.evaluation.surface_tolerance_mm:g} {found.unit}"
    measures = (
        ("Test Dice", lambda run: run.test_dice, 4, "", f"ensemble of the folds on {cases} held-out cases{over}"),
        ("Test NSD", lambda run: run.test_nsd, 4, "", f"normalized surface Dice {tolerance}{over}"),
        ("Test HD95", lambda run: run.test_hd95, 2, f" {found.unit}", f"95th percentile of the surface distance{over}"),
        ("Cross-validation Dice", lambda run: run.validation_dice, 4, "", f"full volumes, final checkpoints{over}"),
    )
    return [
        (name, results.with_spread(value, found.spread(of), digits) + unit, text)
        for name, of, digits, unit, text in measures
        if (value := found.mean(of)) is not None
    ]


def class_rows(found: results.Results) -> list[dict[str, Any]]:
    """Return the means of each class."""
    columns = {
        "dice": found.per_class(results.dice_cases),
        "nsd": found.per_class(results.nsd_cases),
        "hd95": found.per_class(results.hd95_cases),
        "validation": found.per_class(lambda run: run.validation_cases),
    }
    names = scores.class_names(found.labels).values()
    return [{"name": name, **{key: means.get(name) for key, means in columns.items()}} for name in names]


def replicate_summary(found: results.Results) -> list[dict[str, Any]]:
    """Return mean and standard deviation of the replicates' scores; nothing for a single one."""
    if len(found.replicates) < 2:
        return []
    measures = {
        "validation": lambda run: run.validation_dice,
        "dice": lambda run: run.test_dice,
        "nsd": lambda run: run.test_nsd,
        "hd95": lambda run: run.test_hd95,
        "best": lambda run: run.best_test_dice,
    }
    return [
        {"name": "mean", **{key: found.mean(of) for key, of in measures.items()}},
        {"name": "standard deviation", **{key: found.spread(of) for key, of in measures.items()}},
    ]


def fold_rows(
    contract: RunContract, found: results.Results, evidence: Mapping[str, FoldEvidence]
) -> list[dict[str, Any]]:
    """Return for each fold of each replicate what was trained, what ended it, and its validation Dice."""
    return [
        {
            "name": key.name,
            "epochs": evidence[key.name].epochs,
            "target": contract.schedule.epochs,
            "iterations": evidence[key.name].iterations_per_epoch,
            "rate": evidence[key.name].highest_learning_rate,
            "weights": evidence[key.name].network_weights,
            "verdict": verdict(evidence[key.name].early_stopping),
            "dice": scores.foreground_mean(run.validation.get(key.name, {}).values()),
            "cases": len(run.validation.get(key.name, {})),
        }
        for run in found.replicates
        for key in contract.fold_keys_of(run.replicate)
    ]


def verdict(stopping: EarlyStopFacts | None) -> str:
    """Return what the early-stopping rule came to, in words."""
    if stopping is None or stopping.state is EarlyStoppingState.DISABLED:
        return "off"
    early = stopping.suppressed_epoch
    if stopping.epoch is None:
        return (
            "no plateau" if early is None else f"plateau at epoch {early}, before the policies' minimum; none after it"
        )
    before = "" if early is None else f" (at {early} already, before the policies' minimum)"
    plateau = f"plateau at epoch {stopping.epoch}{before}"
    if stopping.state is EarlyStoppingState.OBSERVED:
        gain = "" if stopping.ema_gain is None else f"; the pseudo-Dice changed by {stopping.ema_gain:+.4f} after it"
        return (
            f"{plateau}, observed only: stopping would have saved {counted(stopping.epochs_saved or 0, 'epoch')}{gain}"
        )
    return f"{plateau}, ended at {stopping.end_epoch}: {counted(stopping.epochs_saved or 0, 'epoch')} saved"


def lowest_cases(found: results.Results) -> list[dict[str, Any]]:
    """Return the test cases with the lowest Dice, means over classes and replicates."""
    tested = [run.test for run in found.replicates if run.test]

    def means(of: Sequence[scores.CaseScores]) -> dict[str, float | None]:
        cases = {case for run in of for case in run}
        return {case: scores.mean(value for run in of for value in run.get(case, {}).values()) for case in cases}

    dice = means([test.dice for test in tested])
    nsd, hd95 = means([test.nsd for test in tested]), means([test.hd95 for test in tested])
    ranked = sorted((value, case) for case, value in dice.items() if value is not None)
    return [
        {"name": case, "dice": value, "nsd": nsd[case], "hd95": hd95[case]} for value, case in ranked[:_LOWEST_CASES]
    ]


def case_pictures(found: results.Results) -> dict[str, str]:
    """Return the pictures of the scores of single cases by their caption."""
    over = ", mean over the replicates" if len(found.replicates) > 1 else ""
    tested = [run.test for run in found.replicates if run.test]
    pictures = {}
    if tested:
        panels = [
            Panel("Test Dice", _by_class(found, [test.dice for test in tested]), 1.0),
            Panel(f"Test HD95 ({found.unit})", _by_class(found, [test.hd95 for test in tested])),
        ]
        pictures[f"Test cases, one dot each{over}"] = by_class(panels)
    validation = [
        {case: values for fold in run.validation.values() for case, values in fold.items()} for run in found.replicates
    ]
    if any(validation):
        panel = Panel("Cross-validation Dice", _by_class(found, validation), 1.0)
        pictures[f"Validation cases of all folds, one dot each{over}"] = by_class([panel])
    return pictures


def _by_class(found: results.Results, runs: Sequence[scores.CaseScores]) -> dict[str, list[float]]:
    """Return the score of each case by class name, the mean over several runs of it."""
    cases = sorted({case for run in runs for case in run})
    return {
        name: [
            value for case in cases if (value := scores.mean(run.get(case, {}).get(key) for run in runs)) is not None
        ]
        for key, name in scores.class_names(found.labels).items()
    }


def settings(contract: RunContract) -> list[tuple[str, Any]]:
    """Return what the training asked for, the fields that have a value and act: not those of what is switched off."""
    stopping = contract.early_stopping.to_json_dict()
    if contract.early_stopping.mode is EarlyStoppingMode.DISABLED:
        stopping = {"mode": stopping["mode"]}
    elif contract.early_stopping.mode is not EarlyStoppingMode.ANNEAL:
        stopping.pop("annealEpochs", None)
    asked = contract.evaluation
    always = {"subgroups": ", ".join(asked.subgroups), "pictures": asked.pictures}
    evaluation = (asked.to_json_dict() if contract.test_set else {}) | {k: v for k, v in always.items() if v}
    parts = {"schedule": contract.schedule.to_json_dict(), "earlyStopping": stopping, "evaluation": evaluation}
    content: list[tuple[str, Any]] = [
        ("dataset", contract.dataset),
        ("configurations", ", ".join(contract.configurations))
        if contract.has_several
        else ("configuration", contract.configuration),
        ("trainer.className", contract.trainer_class),
        ("planning.planner", contract.planning.planner),
    ]
    content += [
        (f"{part}.{key}", value)
        for part, values in parts.items()
        for key, value in values.items()
        if (value is not False or key == "mirroring") and value != []
    ]
    if contract.splits.are_asked_for:
        content += [(f"splits.{key}", value) for key, value in contract.splits.to_json_dict().items()]
    if contract.seed is not None:
        content.append(("trainer.seed", contract.seed))
    return [*content, ("replicates", contract.replicates)] if contract.replicates > 1 else content


def plan_rows(plan: PlanFacts) -> list[tuple[str, Any]]:
    """Return what was planned; of weights that the folds began with, each fact by its path."""
    rows = labelled(plan.model_copy(update={"initial_weights": None}))
    begins = labelled(plan.initial_weights) if plan.initial_weights else []
    return rows + [
        (f"initialWeights.{name}", ", ".join(value) if isinstance(value, list) else value) for name, value in begins
    ]


def labelled(model: StatusModel) -> list[tuple[str, Any]]:
    """Return the fields of a model that have a value, by the names that the files use."""
    return list(model.to_json_dict().items())


def grouped(provenance: Mapping[str, FoldProvenance | None]) -> list[tuple[str, list[tuple[str, Any]]]]:
    """Return the conditions of the folds, with the folds that share them.

    The seed and the hash over the configuration, which holds fold and seed, differ by design.
    """
    groups: dict[str, tuple[list[str], list[tuple[str, Any]]]] = {}
    for fold, facts in provenance.items():
        if facts is not None:
            shared = facts.model_copy(update={"seed": None, "configuration_hash": None})
            folds, _ = groups.setdefault(shared.model_dump_json(), ([], labelled(shared)))
            folds.append(fold)
    return [(", ".join(folds), rows) for folds, rows in groups.values()]
