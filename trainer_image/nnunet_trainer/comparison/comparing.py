"""All that a comparison says of its arms, the first of which is the baseline."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnunet_api.words import counted
from nnunet_trainer.comparison.arms import MIN_UNITS, Arm, by_patient, case_differences, check, seed_of, units_in_words
from nnunet_trainer.comparison.estimate import Estimate, estimate
from nnunet_trainer.comparison.power import Power, power
from nnunet_trainer.comparison.ranking import Ranking, ranking
from nnunet_trainer.comparison.significance import Significance, holm, significance
from nnunet_trainer.comparison.verdict import Verdict, verdicts
from nnunet_trainer.scoring.aggregation import Array

WORST = 5
"""Cases that are named as the worst."""
BCA_CASES = 30
"""Cases below which BCa's interval of two single models is too narrow to speak of: of 20 it covers 94 %, of 8 89."""
BCA_PATIENTS = 12
"""The same of patients with several cases, whose interval is widened: of 5 to 10 of them it covered 92.6 to 94.5 %."""
METHOD_REPLICATES = 3
"""Replicates of each arm below which two models are compared, or hardly more, and not two methods."""


@dataclass(frozen=True)
class Candidate:
    """A candidate against the baseline. All differences are candidate minus baseline, in the unit of the metric."""

    arm: Arm
    estimate: Estimate
    interval: tuple[float, float]
    """Of level 1 - alpha, not adjusted for the number of candidates; the verdict is."""
    verdict: Verdict
    significance: Significance
    power: Power
    share_worse: float
    """Share of the cases that are worse by more than the margin. Not of patients: their others may hide a bad one."""
    worst: tuple[tuple[str, float], ...]
    """The worst cases with their differences, worst first."""
    classes: dict[str, tuple[float, float, float]]
    """By class: difference and interval of level 1 - alpha, not adjusted for the number of classes."""


@dataclass(frozen=True)
class Comparison:
    """What is known of the candidates against the baseline."""

    arms: tuple[Arm, ...]
    candidates: tuple[Candidate, ...]
    adjusted: tuple[tuple[float, float], ...]
    """p values of Wilcoxon's and the permutation test, adjusted for the number of candidates (Holm)."""
    ranks: Ranking | None
    """With three and more arms."""
    margin: float
    alpha: float
    indicative: bool
    """From cross-validation: no test set has decided."""
    seed: int
    """Of all that was drawn: from the inputs alone."""
    notes: tuple[str, ...]
    """Limits of what can be concluded."""

    def to_json_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        content: dict[str, Any] = {
            "cases": len(self.arms[0].cases),
            "patients": self.arms[0].unit_count if self.arms[0].patients else None,
            "margin": self.margin,
            "alpha": self.alpha,
            "indicative": self.indicative,
            "seed": self.seed,
            "notes": list(self.notes),
            "arms": [
                {
                    "name": arm.name,
                    "mean": arm.mean(),
                    "spread": _spread(arm),
                    "replicates": arm.replicates,
                }
                for arm in self.arms
            ],
            "candidates": [
                self._candidate(candidate, adjusted)
                for candidate, adjusted in zip(self.candidates, self.adjusted, strict=True)
            ],
        }
        if self.ranks:
            content["ranks"] = {
                "aggregateThenRank": list(self.ranks.aggregate_then_rank),
                "rankThenAggregate": list(self.ranks.rank_then_aggregate),
                "intervals": [list(interval) for interval in self.ranks.intervals],
                "betterThan": [list(row) for row in self.ranks.better_than],
            }
        return content

    def _candidate(self, candidate: Candidate, adjusted: tuple[float, float]) -> dict[str, Any]:
        prefix = "Indicative" if self.indicative else ""
        return {
            "name": candidate.arm.name,
            "verdict": f"{prefix}{candidate.verdict}",
            "difference": candidate.estimate.difference,
            "low": candidate.interval[0],
            "high": candidate.interval[1],
            "level": 1 - self.alpha,
            "pWilcoxon": candidate.significance.p_wilcoxon,
            "pPermutation": candidate.significance.p_permutation,
            "pWilcoxonHolm": adjusted[0],
            "pPermutationHolm": adjusted[1],
            "rankBiserial": candidate.significance.rank_biserial,
            "probabilityBetter": candidate.significance.probability_better,
            "shareWorse": candidate.share_worse,
            "worstCases": [{"case": case, "difference": value} for case, value in candidate.worst],
            "perClass": {
                name: {"difference": value, "low": low, "high": high}
                for name, (value, low, high) in candidate.classes.items()
            },
            "detectableLoss": candidate.power.detectable_loss,
            "casesNeeded": None if candidate.arm.patients else candidate.power.units_needed,
            "patientsNeeded": candidate.power.units_needed if candidate.arm.patients else None,
            "replicatesNeeded": candidate.power.replicates_needed,
        }


def compare(arms: Sequence[Arm], margin: float, alpha: float = 0.05) -> Comparison:
    """Return what the scores say of the arms; the first is the baseline.

    Args:
        arms: scored on the same cases and classes.
        margin: largest loss that is accepted, above 0, in the unit of the metric.
        alpha: two-sided error, between 0 and 0.5.

    Raises:
        ValueError: the arms can't be compared case by case, or a number makes no sense.
    """
    check(arms)
    if not (margin > 0 and 0 < alpha < 0.5):
        raise ValueError(f"margin {margin:g} has to be above 0, and alpha {alpha:g} between 0 and 0.5")
    seed = seed_of(arms)
    baseline, *others = arms
    estimates = [estimate(baseline, arm, seed) for arm in others]
    judged = verdicts(estimates, margin, alpha)
    candidates = tuple(
        _candidate(baseline, arm, found, verdict, margin, alpha, seed)
        for arm, found, verdict in zip(others, estimates, judged, strict=True)
    )
    tests = [one.significance for one in candidates]
    return Comparison(
        arms=tuple(arms),
        candidates=candidates,
        adjusted=tuple(zip(holm([t.p_wilcoxon for t in tests]), holm([t.p_permutation for t in tests]), strict=True)),
        ranks=ranking(arms, alpha, seed) if len(arms) > 2 else None,
        margin=margin,
        alpha=alpha,
        indicative=bool(baseline.folds),
        seed=seed,
        notes=tuple(_notes(arms)),
    )


def besides(arms: Sequence[Arm], alpha: float) -> list[tuple[float, float, float]]:
    """Return difference and interval of each candidate by another metric: not adjusted, and no verdict rests on it."""
    check(arms)
    seed = seed_of(arms)
    found = [estimate(arms[0], arm, seed) for arm in arms[1:]]
    return [(one.difference, *one.interval(1 - alpha)) for one in found]


def _candidate(
    baseline: Arm, arm: Arm, found: Estimate, verdict: Verdict, margin: float, alpha: float, seed: int
) -> Candidate:
    every = case_differences(baseline, arm)
    scored = np.flatnonzero(~np.isnan(every))
    of_patients = by_patient(every[scored], baseline.units[scored])
    units = len(of_patients.means)
    # An interval by folds draws nobody.
    number = len(scored) if baseline.folds else units
    words = counted(number, "case") if baseline.folds else units_in_words(baseline, units)
    if number < MIN_UNITS:
        raise ValueError(
            f"{words} {'has' if number == 1 else 'have'} a score in both arms, and "
            f"{MIN_UNITS} at least are needed: name other classes"
        )
    worst = sorted(scored, key=lambda place: (every[place], baseline.cases[place]))[:WORST]
    return Candidate(
        arm=arm,
        estimate=found,
        interval=found.interval(1 - alpha),
        verdict=verdict,
        significance=significance(baseline, arm, of_patients, seed),
        power=power(
            of_patients.deviation,
            units,
            _variance(baseline) + _variance(arm),
            min(baseline.replicates, arm.replicates),
            margin,
        ),
        share_worse=float(np.mean(every[scored] < -margin)),
        worst=tuple((baseline.cases[place], float(every[place])) for place in worst if every[place] < 0),
        classes=_classes(baseline, arm, alpha, seed),
    )


def _classes(baseline: Arm, arm: Arm, alpha: float, seed: int) -> dict[str, tuple[float, float, float]]:
    found = {}
    for place, name in enumerate(baseline.classes):
        one, other = baseline.of_class(place), arm.of_class(place)
        if _is_scored(one) and _is_scored(other):
            of_class = estimate(one, other, seed)
            found[name] = (of_class.difference, *of_class.interval(1 - alpha))
    return found


def _is_scored(arm: Arm) -> bool:
    """Tell whether each replicate, and with cross-validation each fold of it, has a score."""
    parts: list[Array] = [arm.values[:, list(fold)] for fold in arm.folds] or [arm.values]
    return all(not np.isnan(part).all((1, 2)).any() for part in parts)


def _variance(arm: Arm) -> float:
    return float(np.var(arm.means(), ddof=1)) if arm.replicates > 1 else 0.0


def _spread(arm: Arm) -> float | None:
    return float(np.std(arm.means(), ddof=1)) if arm.replicates > 1 else None


def _notes(arms: Sequence[Arm]) -> list[str]:
    least = min(arm.replicates for arm in arms)
    found = []
    if least == 1:
        found.append(
            "ModelsNotMethods: an arm has one replicate, so this holds for these models; other seeds may differ"
        )
        found += _few_cases(arms)
    elif least < METHOD_REPLICATES:
        found.append(f"FewReplicates: an arm has {least}; claims on methods need {METHOD_REPLICATES} of each arm")
    if len(arms) > 2:
        found.append("Adjusted: verdicts are adjusted for the number of arms (Holm), the intervals are not")
    return found


def _few_cases(arms: Sequence[Arm]) -> list[str]:
    """Return what is to be known of intervals by BCa, which fewer patients need where these have several cases: there
    it is widened."""
    baseline, *others = arms
    of_models = baseline.replicates == 1 and any(arm.replicates == 1 for arm in others)
    units = baseline.unit_count
    several = units < len(baseline.cases)
    enough = BCA_PATIENTS if several else BCA_CASES
    if baseline.folds or not of_models or units >= enough:
        return []
    return [
        f"FewCases: {counted(units, 'patient' if several else 'case')} and one replicate of each arm: the interval is "
        f"narrower than it should be, so take {enough} at least, or {METHOD_REPLICATES} replicates of each arm"
    ]
