"""From the scores of single cases to what is reported: facts, summary.json, one line. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nnunet_api.contract import RunContract
from nnunet_api.dataset.layout import named
from nnunet_api.evaluation_facts import EvaluationFacts, ReplicateScores
from nnunet_api.results import MAX_CLASSES
from nnunet_api.words import counted
from nnunet_trainer.process.numbers import number
from nnunet_trainer.scoring import scores
from nnunet_trainer.scoring.subgroups import Subgroup, subgroup_data, subgroup_words

Labels = Mapping[str, Any]
"""`labels` of dataset.json."""


@dataclass(frozen=True)
class Replicate:
    """The scores of one replicate."""

    replicate: int
    """1 = first."""
    seed: int | None
    model_path: str
    """Its model folder inside the results claim."""
    validation: dict[str, scores.CaseScores]
    """Dice of the validation cases, for each fold by the name of its run. Empty for the fold "all"."""
    test: scores.EnsembleScores | None = None
    """Scores of the final checkpoints."""
    best: scores.EnsembleScores | None = None
    """Scores of the best checkpoints, where they are asked for."""
    without_best: tuple[str, ...] = ()
    """Folds that have no best checkpoint that loads, so that there are none where they are asked for."""

    @property
    def validation_cases(self) -> list[dict[str, float]]:
        """Dice of the validation cases of all folds."""
        return [case for fold in self.validation.values() for case in fold.values()]

    @property
    def validation_dice(self) -> float | None:
        """Cross-validation Dice."""
        return scores.foreground_mean(self.validation_cases)

    @property
    def test_dice(self) -> float | None:
        """Mean foreground Dice on the test set."""
        return scores.foreground_mean(self.test.dice.values()) if self.test else None

    @property
    def test_nsd(self) -> float | None:
        """Mean normalized surface Dice on the test set."""
        return scores.foreground_mean(self.test.nsd.values()) if self.test else None

    @property
    def test_hd95(self) -> float | None:
        """Mean 95th percentile of the Hausdorff distance on the test set."""
        return scores.foreground_mean(self.test.hd95.values()) if self.test else None

    @property
    def best_test_dice(self) -> float | None:
        """Mean foreground Dice of the best checkpoints on the test set."""
        return scores.foreground_mean(self.best.dice.values()) if self.best else None


@dataclass(frozen=True)
class Results:
    """All that was scored."""

    replicates: Sequence[Replicate]
    labels: Labels
    conditions: Mapping[str, Any] = field(default_factory=dict)
    """Under which conditions was scored."""
    provenance_hashes: Mapping[str, str] = field(default_factory=dict)
    """By fold run: SHA-256 of its provenance.json, so that a comparison sees whether it was changed since."""
    subgroups: Sequence[Subgroup] = ()
    """The Dice by the columns of evaluation.subgroups."""
    subgroup_notes: Sequence[str] = ()
    """What the reader has to know about them."""
    patients: Mapping[str, Any] | None = None
    """Whose the scored cases are, as `told_patients` has it; None where nobody knows."""

    @property
    def unit(self) -> str:
        """Unit of distances."""
        return next((run.test.unit for run in self.replicates if run.test), "mm")

    @property
    def best_test_dice(self) -> float | None:
        """Mean over the replicates; none unless all of them have it: a mean over some could not be compared."""
        values = [run.best_test_dice for run in self.replicates]
        return None if None in values else scores.mean(values)

    def mean(self, of: Callable[[Replicate], float | None]) -> float | None:
        """Return the mean of a score over the replicates."""
        return scores.mean(map(of, self.replicates))

    def spread(self, of: Callable[[Replicate], float | None]) -> float | None:
        """Return the sample standard deviation of a score over the replicates."""
        return scores.spread(list(map(of, self.replicates)))

    def per_class(self, of: Callable[[Replicate], list[dict[str, float]]]) -> dict[str, float]:
        """Return the mean of each class over cases, then over replicates, by class name; `of` gives the cases."""
        means = scores.class_means(scores.class_means(of(run)) for run in self.replicates)
        return scores.named_classes(means, self.labels)

    def absent_classes(self) -> list[str]:
        """Return the classes that no test case holds or predicts."""
        if not any(run.test for run in self.replicates):
            return []
        return sorted(set(scores.class_names(self.labels).values()) - set(self.per_class(dice_cases)))

    def undefined_distances(self) -> list[tuple[int, str, str, str]]:
        """Return (replicate, case, class, which of the two lacks it) wherever there is no Hausdorff distance."""
        names = scores.class_names(self.labels)
        return [
            (run.replicate, case, names.get(key, key), lacking)
            for run in self.replicates
            if run.test
            for case, classes in sorted(run.test.missing.items())
            for key, lacking in classes.items()
        ]


def dice_cases(run: Replicate) -> list[dict[str, float]]:
    """Return the Dice of the test cases."""
    return list(run.test.dice.values()) if run.test else []


def nsd_cases(run: Replicate) -> list[dict[str, float]]:
    """Return the normalized surface Dice of the test cases."""
    return list(run.test.nsd.values()) if run.test else []


def hd95_cases(run: Replicate) -> list[dict[str, float]]:
    """Return the Hausdorff distances of the test cases."""
    return list(run.test.hd95.values()) if run.test else []


def evaluation_facts(results: Results) -> EvaluationFacts:
    """Return what is reported to the operator: means over the replicates."""
    runs = results.replicates
    folds = {name: scores.foreground_mean(cases.values()) for run in runs for name, cases in run.validation.items()}
    hd95 = results.mean(lambda run: run.test_hd95)
    return EvaluationFacts(
        mean_validation_dice=results.mean(lambda run: run.validation_dice),
        fold_dice={name: dice for name, dice in folds.items() if dice is not None},
        test_mean=results.mean(lambda run: run.test_dice),
        test_cases=len(dice_cases(runs[0])) or None,
        test_per_class=dict(list(results.per_class(dice_cases).items())[:MAX_CLASSES]),
        model_path=runs[0].model_path,
        test_nsd=results.mean(lambda run: run.test_nsd),
        test_hd95_mm=hd95 if results.unit == "mm" else None,
        best_checkpoint_test_mean=results.best_test_dice,
        replicates=[
            ReplicateScores(
                replicate=run.replicate,
                seed=run.seed,
                mean_validation_dice=run.validation_dice,
                test_mean=run.test_dice,
            )
            for run in runs
            if len(runs) > 1
        ],
    )


def summary(contract: RunContract, results: Results) -> dict[str, Any]:
    """Return the contents of summary.json: the facts, with all classes, cases, folds and replicates."""
    content = evaluation_facts(results).to_json_dict()
    hd95_key = f"Hd95{results.unit.capitalize()}"
    content["notes"] = notes(results)
    content["validationPerClass"] = results.per_class(lambda run: run.validation_cases)
    content["testPerClass"] = results.per_class(dice_cases)
    if any(run.test for run in results.replicates):
        content["surfaceTolerance"] = contract.evaluation.surface_tolerance_mm
        content["surfaceUnit"] = results.unit
        content[f"test{hd95_key}"] = results.mean(lambda run: run.test_hd95)
        content["testNsdPerClass"] = results.per_class(nsd_cases)
        content[f"test{hd95_key}PerClass"] = results.per_class(hd95_cases)
        content["hd95Undefined"] = [
            {"replicate": replicate, "case": case, "class": name, "missingIn": lacking}
            for replicate, case, name, lacking in results.undefined_distances()
        ]
    if len(results.replicates) > 1:
        content["spread"] = {
            "meanValidationDice": results.spread(lambda run: run.validation_dice),
            "testMean": results.spread(lambda run: run.test_dice),
            "testNsd": results.spread(lambda run: run.test_nsd),
            f"test{hd95_key}": results.spread(lambda run: run.test_hd95),
            "bestCheckpointTestMean": results.spread(lambda run: run.best_test_dice),
        }
    if contract.evaluation.subgroups:
        content["subgroups"] = subgroup_data(results.subgroups)
    if results.patients is not None:
        content["patients"] = dict(results.patients)
    if contract.policy is not None:
        content["policy"] = contract.policy.to_json_dict()
    if results.conditions:
        content["conditions"] = dict(results.conditions)
        content["provenanceHashes"] = dict(results.provenance_hashes)
    content["replicates"] = [_replicate(run, results.labels) for run in results.replicates]
    return content


def _replicate(run: Replicate, labels: Labels) -> dict[str, Any]:
    content: dict[str, Any] = {
        "replicate": run.replicate,
        "seed": run.seed,
        "modelPath": run.model_path,
        "meanValidationDice": number(run.validation_dice),
        "validationByCase": {name: scores.by_case(cases, labels) for name, cases in run.validation.items()},
    }
    if run.test:
        content |= _ensemble(run.test, labels)
    if run.best:
        content["bestCheckpoint"] = _ensemble(run.best, labels)
    return content


def _ensemble(found: scores.EnsembleScores, labels: Labels) -> dict[str, Any]:
    def per_class(cases: scores.CaseScores) -> dict[str, float]:
        return scores.named_classes(scores.class_means(cases.values()), labels)

    hd95_key = f"Hd95{found.unit.capitalize()}"
    names = scores.class_names(labels)
    return {
        "testMean": scores.foreground_mean(found.dice.values()),
        "testNsd": scores.foreground_mean(found.nsd.values()),
        f"test{hd95_key}": scores.foreground_mean(found.hd95.values()),
        "testPerClass": per_class(found.dice),
        "testNsdPerClass": per_class(found.nsd),
        f"test{hd95_key}PerClass": per_class(found.hd95),
        **({} if found.workers is None else {"predictionWorkers": found.workers}),
        "testByCase": {
            case: {
                names.get(key, key): {
                    "dice": number(dice),
                    "nsd": number(found.nsd[case][key]),
                    f"hd95{found.unit.capitalize()}": number(found.hd95[case][key]),
                }
                for key, dice in classes.items()
            }
            for case, classes in sorted(found.dice.items())
        },
    }


def message(contract: RunContract, results: Results) -> str:
    """Return the outcome in one line. Without a test set the cross-validation is all there is."""
    parts = []
    facts = evaluation_facts(results)
    if facts.test_mean is not None:
        test_dice = with_spread(facts.test_mean, results.spread(lambda run: run.test_dice), 4)
        parts.append(f"test Dice {test_dice} on {counted(facts.test_cases or 0, 'case')}")
        tolerance = f"{contract.evaluation.surface_tolerance_mm:g} {results.unit}"
        if facts.test_nsd is not None:
            nsd = with_spread(facts.test_nsd, results.spread(lambda run: run.test_nsd), 4)
            parts.append(f"NSD {nsd} at {tolerance}")
        if (hd95 := results.mean(lambda run: run.test_hd95)) is not None:
            parts.append(f"HD95 {with_spread(hd95, results.spread(lambda run: run.test_hd95), 2)} {results.unit}")
    if facts.mean_validation_dice is not None:
        dice = with_spread(facts.mean_validation_dice, results.spread(lambda run: run.validation_dice), 4)
        parts.append(f"cross-validation Dice {dice}")
    undefined = _undefined(results)
    if parts and len(results.replicates) > 1:
        parts[-1] += f" (mean ± standard deviation of {len(results.replicates)} replicates)"
    sentences = ["evaluated: " + (", ".join([*parts, *undefined]) or "no validation and no test cases")]
    if facts.best_checkpoint_test_mean is not None:
        sentences.append(
            f"for comparison only, checkpoint_best.pth: test Dice {facts.best_checkpoint_test_mean:.4f} (the "
            "validation cases chose it, so it is never the result)"
        )
    return "; ".join([*sentences, *subgroup_words(results.subgroups), *notes(results)])


def _undefined(results: Results) -> list[str]:
    """Return which Dice there is no number for although there are cases: nothing to find, and nothing found, is 0/0."""
    kinds = {
        "test": [case for run in results.replicates for case in dice_cases(run)],
        "validation": [case for run in results.replicates for case in run.validation_cases],
    }
    return [
        f"{kind} Dice undefined: no {kind} case holds or predicts any class"
        for kind, cases in kinds.items()
        if cases and scores.foreground_mean(cases) is None
    ]


def with_spread(value: float, deviation: float | None, digits: int) -> str:
    """Return a number, with its spread where there is one."""
    return f"{value:.{digits}f}" + (f" ± {deviation:.{digits}f}" if deviation is not None else "")


def notes(results: Results) -> list[str]:
    """Return what the reader has to know about the scores."""
    found = []
    if absent := results.absent_classes():
        found.append(f"no test case holds or predicts {named(absent)}: left out of the means")
    if undefined := results.undefined_distances():
        pairs = {f"{name} in {case}" for _, case, name, _ in undefined}
        found.append(
            f"no HD95 for {named(pairs)}, where the reference or the prediction has none of the class: such cases "
            "count as 0 in Dice and NSD and are left out of the mean HD95"
        )
    if results.unit != "mm":
        found.append("the images hold no spacing: tolerance and distances are in pixels")
    if without := [fold for run in results.replicates for fold in run.without_best]:
        found.append(
            f"the best checkpoints are not compared: {named(without)} have none that loads (none is written as long as "
            "the pseudo-Dice is not a number: no foreground in any validation patch)"
        )
    return [*found, *results.subgroup_notes]
