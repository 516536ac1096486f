"""The report of a comparison: one page that needs no network. Pure: what was read in, HTML out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from nnunet_api.comparison.contract import ArmFacts
from nnunet_api.comparison.log import ComparisonLog
from nnunet_api.comparison.status import CandidateVerdict
from nnunet_api.comparison.words import points
from nnunet_api.conditions import rfc3339
from nnunet_cli.compare.cost import Cost, saving
from nnunet_cli.compare.output import rows
from nnunet_cli.compare.pictures import Curve, Interval, curves, forest, pairs, strips
from nnunet_cli.compare.scores import Missing, case_means
from nnunet_cli.kube.comparisons import Found
from nnunet_cli.text.html_page import Row, heading, page, paragraph, section, table

MOST_CASES = 100
"""Cases of the table, those that lose most: all of them are in the CSV file."""
MOST_CLASSES = 64
"""Classes of the forest plot."""
LACKS = "the single cases, the classes but the worst, the seeds and the curves"
"""What the status does not hold."""


@dataclass(frozen=True)
class Material:
    """All that a report is made of."""

    found: Found
    log: ComparisonLog | Missing
    costs: Mapping[str, Cost]
    """By the name of the arm."""
    now: datetime


def report(material: Material) -> str:
    """Return the page. It says first what it lacks."""
    found, status = material.found, material.found.status
    log = material.log if isinstance(material.log, ComparisonLog) else None
    parts = [
        *(paragraph(one.reason, "said") for one in status.verdicts),
        *_to_mind(material),
        heading("Differences"),
        *_forests(found, log),
        paragraph(
            "Dice of the arm less that of the baseline, in points of a hundred, with its interval. The verdict rests "
            "on the whole; the intervals of single classes are not adjusted for their number. Nor are those of NSD and "
            "HD95 (less is better), on which no verdict rests: HD95 is of those cases alone in which all arms have "
            "found the structure, and tells nothing of those that an arm has missed."
        ),
        table(*rows(found)),
        section("What was compared, and how", _made_of(found)),
        heading("What it cost, and what it would save"),
        _costs(status.arms, material.costs),
        paragraph(
            "GPU-hours that the trainings held, interruptions included, by their status; of a replicate the mean. What "
            "is cheaper is worth nothing where the verdict does not allow it."
        ),
        *(_of_log(material, log) if log else ()),
        paragraph(f"Made on {material.now:%Y-%m-%d %H:%M} UTC by kubectl nnunet compare {found.name} --report."),
    ]
    return page(f"Comparison {found.namespace}/{found.name}", parts)


def _to_mind(material: Material) -> Iterator[str]:
    status = material.found.status
    if isinstance(material.log, str):
        said = f"Made of the status of the comparison alone. It lacks {LACKS}: they are in the log of its Job, and"
        yield paragraph(f"{said} {material.log}.", "box")
    if status.indicative:
        yield paragraph(
            "There was no test set: the cross-validation only says where to look, and proves nothing.", "box"
        )
    for note in status.notes:
        yield paragraph(note, "box")


def _forests(found: Found, log: ComparisonLog | None) -> Iterator[str]:
    logged = {one.name: one for one in log.candidates} if log else {}
    for one in found.status.verdicts:
        intervals = [Interval(one.arm, one.difference, one.low, one.high, bold=True)]
        classes = logged[one.arm].per_class if one.arm in logged else {}
        intervals += [
            Interval(name, each.difference, each.low, each.high)
            for name, each in list(classes.items())[:MOST_CLASSES]
            if each.difference is not None and each.low is not None and each.high is not None
        ]
        yield forest(intervals, found.margin)


def _made_of(found: Found) -> Iterator[Row]:
    status, registration = found.status, found.status.registration
    level = next((one.level for one in status.verdicts if one.level is not None), None)
    yield "Cases", f"{status.cases} of the {'cross-validation' if status.indicative else 'test set'}"
    yield "Patients", _patients(status.patients)
    yield "Margin", f"a loss of {points(found.margin)} of Dice"
    yield "Intervals", f"{level:.0%}" if level is not None else ""
    yield "What differs, by intention", ", ".join(found.varies)
    yield "Seed of the resampling", status.seed or ""
    if registration:
        yield "Registered", rfc3339(registration.time) if registration.time else ""
        yield "Digest of the registration", registration.digest or ""
    yield "Verdict", rfc3339(status.completion_time) if status.completion_time else ""
    yield "SHA-256 of the scores' log", status.log_hash or ""


def _patients(number: int | None) -> str:
    if number is None:
        return "not known: each case was taken for another patient"
    return f"{number}, each drawn and tested with all its cases"


def _costs(arms: Sequence[ArmFacts], costs: Mapping[str, Cost]) -> str:
    titles = ("Arm", "Dice", "Replicates", "Trainings", "Proven epochs", "GPU-hours", "of a replicate", "Would save")
    baseline: float | None = None
    lines = []
    for place, arm in enumerate(arms):
        cost = costs.get(arm.name) or Cost([], None, "")
        each = cost.each(arm.replicates)
        baseline = each if place == 0 else baseline
        spread = f" ± {arm.spread:.4f}" if arm.spread is not None else ""
        lines.append(
            (
                arm.name,
                f"{arm.mean:.4f}{spread}" if arm.mean is not None else "-",
                str(arm.replicates),
                ", ".join(cost.trainings),
                cost.epochs or "-",
                _hours(cost.gpu_hours),
                _hours(each),
                saving(each, baseline) if place else "baseline",
            )
        )
    return table(titles, lines)


def _of_log(material: Material, log: ComparisonLog) -> Iterator[str]:
    """Yield what only the log of the Job has."""
    found = material.found
    arms = [arm.name for arm in found.status.arms]
    yield heading("Seeds")
    yield strips(
        [(arm, [one.mean for one in log.replicates if one.arm == arm and one.mean is not None]) for arm in arms]
    )
    yield paragraph(
        "A dot for each replicate: the same training from another seed. Where the arms overlap, it may be luck."
    )
    lines = [
        (one.arm, one.training, str(one.replicate), "-" if one.seed is None else str(one.seed), _dice(one.mean))
        for one in log.replicates
    ]
    yield table(("Arm", "Training", "Replicate", "Seed", "Dice"), lines)
    yield from _curves(log, arms)
    yield heading("Single cases")
    if not log.case_names:
        yield paragraph("There are too many to be told here: summary.json of each training has their scores.")
        return
    of_arm = {arm: case_means(log, arm) for arm in arms}
    for one in found.status.verdicts:
        yield from _cases(found, one, log.case_names, of_arm[arms[0]], of_arm[one.arm])


def _curves(log: ComparisonLog, arms: Sequence[str]) -> Iterator[str]:
    known = [one for one in log.replicates if one.curve and one.arm in arms]
    yield heading("Curves")
    if not known:
        yield paragraph("The checkpoints hold none that could be read.")
        return
    by_epoch = [Curve(arms.index(one.arm), [(epoch, dice) for epoch, _, dice in one.curve]) for one in known]
    by_hours = [Curve(arms.index(one.arm), [(hours, dice) for _, hours, dice in one.curve]) for one in known]
    yield curves(by_epoch, arms, "epochs")
    yield curves(by_hours, arms, "GPU-hours, all folds of a replicate")
    yield paragraph(
        "Moving average of the pseudo-Dice, on random patches of validation cases: a trend, and no result. What was "
        "trained twice after an interruption counts once. The verdict does not rest on it."
    )


def _cases(
    found: Found,
    one: CandidateVerdict,
    names: Sequence[str],
    baseline: Sequence[float | None],
    arm: Sequence[float | None],
) -> Iterator[str]:
    both = [
        (name, before, after)
        for name, before, after in zip(names, baseline, arm, strict=False)
        if before is not None and after is not None
    ]
    if not both:
        return
    first = found.status.arms[0].name
    yield pairs([(before, after) for _, before, after in both], found.margin, first, one.arm)
    both.sort(key=lambda case: (case[2] - case[1], case[0]))
    shown = both[:MOST_CASES]
    if len(shown) < len(both):
        yield paragraph(f"The {len(shown)} of {len(both)} cases that lose most; all are in the file that --csv writes.")
    lines = [(name, _dice(before), _dice(after), f"{after - before:+.4f}") for name, before, after in shown]
    yield table(("Case", first, one.arm, "Difference"), lines)


def _hours(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _dice(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
