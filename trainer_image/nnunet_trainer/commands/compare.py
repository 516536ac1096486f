"""`nnunet-trainer compare`: the verdict on arms of trainings, from the scores that their evaluations reported."""

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import ValidationError

from nnunet_api.comparison.conditions import Difference, differences, unfounded
from nnunet_api.comparison.contract import (
    COMPARISON_CONTRACT_ENV,
    MAX_DIFFERENCES,
    ArmFacts,
    CandidateFacts,
    ComparisonContract,
    ComparisonFacts,
    DifferenceFacts,
    Interval,
    SurfaceInterval,
)
from nnunet_api.comparison.log import log_hash
from nnunet_api.comparison.words import cases_in_words, sentence
from nnunet_api.contract import TerminationReport
from nnunet_api.dataset.layout import named
from nnunet_api.words import counted
from nnunet_trainer.comparison.arms import MIN_UNITS, Arm, scored_by_all
from nnunet_trainer.comparison.comparing import besides, compare
from nnunet_trainer.process.failures import one_line, wrong_configuration, wrong_data
from nnunet_trainer.report.comparison_log import for_report
from nnunet_trainer.scoring.compared_runs import Replicate, Run, Scores, of_earlier_images, read_run

ALWAYS_KNOWN = ("datasetHash", "splitsHash", "labels", "metric.implementation", "metric.version")
"""What has to be known of every run."""
KNOWN_OF_TEST_SETS = ("testSet.imagesHash", "testSet.labelsHash", "inference.checkpoint", "inference.postprocessing")
"""The same of those that have a test set."""
_DECIMALS = 6
_DECIMALS_OF_MM = 4
_EARLIER = "an image from before patients were kept has planned or evaluated"
_TOLD = 200
"""Characters of a difference that a report has room for."""


def read_comparison_contract() -> ComparisonContract:
    """Return what is to be compared. Raises TrainerError with WRONG_CONFIGURATION."""
    text = os.environ.get(COMPARISON_CONTRACT_ENV)
    if not text:
        raise wrong_configuration(f"{COMPARISON_CONTRACT_ENV} is not set; the operator sets it")
    try:
        return ComparisonContract.model_validate_json(text)
    except ValidationError as error:
        words = one_line(str(error))[:1000]
        raise wrong_configuration(f"{COMPARISON_CONTRACT_ENV} does not fit this image: {words}") from error


def compare_runs(contract: ComparisonContract) -> TerminationReport:
    """Return the verdict, or what keeps the arms from being compared. All numbers go to the log."""
    read = [read_run(arm.name, run, contract.test_set) for arm in contract.arms for run in arm.runs]
    runs = of_earlier_images(read)
    found = list(_differences(contract, runs))
    if found:
        return _not_comparable(contract, found)
    classes = _classes(contract, runs)
    arms = _arms(contract, runs, classes, lambda one: one.dice)
    try:
        result = compare(arms, contract.max_dice_loss, contract.alpha).to_json_dict()
        silent = [run.training for run in read if run.patients is None]
        result["notes"] = [*_of_patients(runs[0], silent, result), *result["notes"]]
        surface, distance = _surface(contract, runs, classes), _distance(contract, runs, classes)
    except ValueError as error:
        raise wrong_data(f"the scores can't be compared: {error}") from error
    told = {**result, "nsd": surface, "hd95Mm": distance, **for_report(arms, runs)}
    line = json.dumps(_plain(told), sort_keys=True)
    print(line)  # noqa: T201
    facts = _facts(contract, result, surface, distance, log_hash(line))
    said = ". ".join(sentence(one, contract.baseline, contract.max_dice_loss) for one in facts.candidates)
    return TerminationReport(message=said, comparison=facts)


def _differences(contract: ComparisonContract, runs: Sequence[Run]) -> Iterator[Difference]:
    known = [one for run in runs for one in run.known]
    required = (*ALWAYS_KNOWN, *(KNOWN_OF_TEST_SETS if contract.test_set else ()))
    yield from differences(known, contract.varies, required)
    yield from unfounded(known, [name for name in contract.varies if name not in contract.founded], last=True)
    everything = {case for run in runs for replicate in run.replicates for case in replicate.dice}
    for run in runs:
        for number, replicate in enumerate(run.replicates, 1):
            if missing := everything - set(replicate.dice):
                which = f"{run.training} of arm {run.arm}, replicate {number}"
                yield Difference(
                    "cases", f"{which}, has no scores of {counted(len(missing), 'case')}: {named(missing)}"
                )
    folds = {tuple(sorted(replicate.folds.items())) for run in runs for replicate in run.replicates}
    if len(folds) > 1:
        yield Difference("folds", "the validation cases of the folds are not the same in all runs")


def _of_patients(run: Run, silent: Sequence[str], result: Mapping[str, Any]) -> Iterator[str]:
    """Yield what was resampled and tested: patients, or cases that are taken for independent.

    `silent` are the trainings that have left nothing on patients.
    """
    by_folds = result["indicative"]
    if run.patients and run.patients.column:
        words = cases_in_words(result["cases"], result["patients"])
        done = "p values are of patients; the interval rests on folds" if by_folds else "drawn and tested as wholes"
        yield f"PatientsResampled: {words} (column {run.patients.column} of cases.csv), {done}"
    else:
        why = "no patient column in cases.csv" if run.patients else f"{_EARLIER} all of these trainings"
        narrow = "the p value is smaller" if by_folds else "the interval is narrower"
        yield (
            f"CasesIndependent: {counted(result['cases'], 'case is', 'cases are')} taken as independent: {why}. Where "
            f"patients have several cases, {narrow} than it should be"
        )
    if run.patients and silent:
        yield (
            f"PatientsToldByOthers: {_EARLIER} {named(silent)}: whose the cases are is taken from the other trainings, "
            "which were scored on the same"
        )


def _not_comparable(contract: ComparisonContract, found: Sequence[Difference]) -> TerminationReport:
    facts = ComparisonFacts(
        uid=contract.uid,
        registration=contract.registration,
        differences=[
            DifferenceFacts(path=one.path[:_TOLD], matter=_cut(one.matter)) for one in found[:MAX_DIFFERENCES]
        ],
    )
    for one in found:
        print(f"{one}")  # noqa: T201
    return TerminationReport(message=f"the arms can't be compared: {found[0]}"[:500], comparison=facts)


def _cut(matter: str) -> str:
    return matter if len(matter) <= _TOLD else f"{matter[: _TOLD - 4]} ..."


def _classes(contract: ComparisonContract, runs: Sequence[Run]) -> tuple[str, ...]:
    known = runs[0].classes
    if unknown := [name for name in contract.classes if name not in known]:
        raise wrong_configuration(
            f"spec.classes names {named(unknown)}, and the trainings know {named(known)}: create a comparison with "
            "names that they know"
        )
    return tuple(name for name in known if not contract.classes or name in contract.classes)


def _arms(contract: ComparisonContract, runs: Sequence[Run], classes: Sequence[str], of: Any) -> list[Arm]:
    cases = tuple(sorted(runs[0].replicates[0].dice))
    folds = runs[0].replicates[0].folds
    place = {case: number for number, case in enumerate(cases)}
    patients = runs[0].patients  # those of all: else they are not comparable
    return [
        Arm(
            name=arm.name,
            cases=cases,
            classes=tuple(classes),
            values=np.array(
                [
                    _table(of(replicate), cases, classes)
                    for run in runs
                    if run.arm == arm.name
                    for replicate in run.replicates
                ]
            ),
            folds=tuple(tuple(place[case] for case in folds[fold]) for fold in sorted(folds)),
            patients=patients.numbers(cases) if patients else (),
        )
        for arm in contract.arms
    ]


def _table(scores: Scores, cases: Sequence[str], classes: Sequence[str]) -> list[list[float]]:
    return [[scores[case].get(name, math.nan) for name in classes] for case in cases]


def _surface(contract: ComparisonContract, runs: Sequence[Run], classes: Sequence[str]) -> dict[str, Interval]:
    """Return the difference of the normalized surface Dice by arm: reported besides, unadjusted."""

    def nsd(replicate: Replicate) -> Scores:
        return replicate.nsd

    if not contract.test_set:
        return {}
    arms = _arms(contract, runs, classes, nsd)
    return {arm.name: Interval(**found) for arm, found in _besides(arms, contract.alpha, _DECIMALS)}


def _distance(contract: ComparisonContract, runs: Sequence[Run], classes: Sequence[str]) -> dict[str, SurfaceInterval]:
    """Return the same of the 95th percentile of the Hausdorff distance, where enough cases have one in all arms."""

    def hd95(replicate: Replicate) -> Scores:
        return replicate.hd95

    if not contract.test_set:
        return {}
    arms, cases = scored_by_all(_arms(contract, runs, classes, hd95))
    if arms[0].unit_count < MIN_UNITS:
        return {}
    found = _besides(arms, contract.alpha, _DECIMALS_OF_MM)
    return {arm.name: SurfaceInterval(**one, cases=cases) for arm, one in found}


def _besides(arms: Sequence[Arm], alpha: float, decimals: int) -> list[tuple[Arm, dict[str, float]]]:
    found = zip(arms[1:], besides(arms, alpha), strict=True)
    names = ("difference", "low", "high")
    return [(arm, dict(zip(names, (round(one, decimals) for one in each), strict=True))) for arm, each in found]


def _facts(
    contract: ComparisonContract,
    result: Mapping[str, Any],
    surface: Mapping[str, Interval],
    distance: Mapping[str, SurfaceInterval],
    logged: str,
) -> ComparisonFacts:
    return ComparisonFacts(
        uid=contract.uid,
        registration=contract.registration,
        arms=[ArmFacts(**{key: _short(value) for key, value in one.items()}) for one in result["arms"]],
        candidates=[
            _candidate(one, surface.get(one["name"]), distance.get(one["name"])) for one in result["candidates"]
        ],
        cases=result["cases"],
        patients=result["patients"],
        indicative=result["indicative"],
        seed=str(result["seed"]),
        log_hash=logged,
        notes=[str(note)[:512] for note in result["notes"][:10]],
    )


def _candidate(one: Mapping[str, Any], nsd: Interval | None, hd95: SurfaceInterval | None) -> CandidateFacts:
    worst = min(one["perClass"].items(), key=lambda item: item[1]["difference"], default=None)
    several = len(one["perClass"]) > 1
    return CandidateFacts(
        arm=one["name"],
        verdict=one["verdict"],
        difference=_short(one["difference"]),
        low=_short(one["low"]),
        high=_short(one["high"]),
        level=_short(one["level"]),
        p_wilcoxon=_short(one["pWilcoxonHolm"]),
        p_permutation=_short(one["pPermutationHolm"]),
        rank_biserial=_short(one["rankBiserial"]),
        share_worse=_short(one["shareWorse"]),
        probability_better=_short(one["probabilityBetter"]),
        worst_class=worst[0][:128] if worst and several else None,
        worst_class_difference=_short(worst[1]["difference"]) if worst and several else None,
        detectable_loss=_short(one["detectableLoss"]),
        cases_needed=one["casesNeeded"],
        patients_needed=one["patientsNeeded"],
        replicates_needed=one["replicatesNeeded"],
        nsd=nsd,
        hd95_mm=hd95,
    )


def _short(value: Any) -> Any:
    """Return a number with the digits that mean something; None where it is none."""
    if not isinstance(value, float):
        return value
    return round(value, _DECIMALS) if math.isfinite(value) else None


def _plain(value: Any) -> Any:
    if isinstance(value, Interval):
        return value.to_json_dict()
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
