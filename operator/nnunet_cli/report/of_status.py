"""A report of a training's status alone, for who may read the training and not its results claim. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from html import escape

from nnunet_api.conditions import Time, rfc3339
from nnunet_api.reasons import ConditionType
from nnunet_api.status import NnunetTrainingStatus
from nnunet_cli.kube.watched import Watched, message
from nnunet_cli.text.words import dice, duration

Row = tuple[str, str]

LACKS = "the single cases, the curves, the surface distances of each class and the notes on scores that are undefined"
"""What the status does not hold."""
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
body {{ font: 15px sans-serif; margin: 2em; max-width: 60em; color: #222 }}
table {{ border-collapse: collapse; margin: 0.5em 0 1.5em }}
th, td {{ text-align: left; padding: 0.2em 1.2em 0.2em 0; border-bottom: 1px solid #ddd; overflow-wrap: anywhere }}
.box {{ border: 2px solid #D55E00; padding: 0.6em 1em; margin: 1em 0 }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""


def status_report(found: Watched, now: datetime) -> str:
    """Return the page. It says first what it lacks."""
    status = found.status
    parts = [
        _box(
            f"Made on {now:%Y-%m-%d %H:%M} UTC of the status of the training alone. It lacks {LACKS}: they are in "
            f"report.html on the results claim. Who may run pods there fetches that by kubectl nnunet report "
            f"{found.name} -n {found.namespace}."
        ),
        *(_box(text) for text in _to_mind(status)),
        _section("What became of it", _course(found, now)),
        _section("Scores", _scores(status)),
        _section("Test Dice of each class", _classes(status)),
        _folds(status),
        _section("What it was made from", _made_of(found)),
        _section("Policies", _policies(status)),
    ]
    title = escape(f"{found.namespace}/{found.name}")
    return _PAGE.format(title=f"Report of {title}, from its status", body="\n".join(part for part in parts if part))


def _to_mind(status: NnunetTrainingStatus) -> Iterator[str]:
    for granted in status.policy.exceptions if status.policy else []:
        left = f", which left at least {granted.min_epochs} epochs" if granted.min_epochs else ""
        lifted = f", without {', '.join(granted.lifted_rules)}" if granted.lifted_rules else ""
        yield (
            f"Trained under an exception of the policy {granted.policy}{left}{lifted}: {granted.reason} (ticket "
            f"{granted.ticket}, approved by {granted.approved_by}, until {rfc3339(granted.expires_at)})."
        )
    for type_ in (ConditionType.STANDARD_SCHEDULE, ConditionType.POLICY_COMPLIANT):
        condition = status.condition(type_)
        if condition and condition.status == "False":
            yield f"{condition.reason}: {condition.message}"


def _course(found: Watched, now: datetime) -> Iterator[Row]:
    status = found.status
    yield "Phase", status.phase or "not seen by the operator yet"
    yield "In words", found.problem or message(status)
    yield "Begun", _time(status.start_time)
    yield "Ended", _time(status.completion_time)
    if status.start_time:
        yield "Took", duration(((status.completion_time or now) - status.start_time).total_seconds())
    if status.usage and status.usage.gpu_seconds:
        yield "GPU time", duration(status.usage.gpu_seconds)


def _scores(status: NnunetTrainingStatus) -> Iterator[Row]:
    results = status.results
    if results is None:
        yield "None yet", "they come with the evaluation"
        return
    test, surface = results.test_dice, results.test_surface
    if test:
        yield f"Test Dice ({test.cases} cases)", dice(test.mean)
    if surface:
        yield "Test NSD", dice(surface.nsd)
        yield "Test HD95", "" if surface.hd95_mm is None else f"{surface.hd95_mm:.2f} mm"
    yield "Cross-validation Dice", dice(results.mean_validation_dice)
    for each in results.replicates:
        yield (
            f"Replicate {each.replicate}, seed {each.seed}",
            (f"test {dice(each.test_dice)}, cross-validation {dice(each.mean_validation_dice)}"),
        )


def _classes(status: NnunetTrainingStatus) -> Iterator[Row]:
    if status.results and status.results.test_dice:
        for name, value in status.results.test_dice.per_class.items():
            yield name, dice(value)


def _folds(status: NnunetTrainingStatus) -> str:
    if not status.folds:
        return ""
    titles = ("Fold", "State", "Epochs", "Proven epochs", "Validation Dice", "Attempts", "Epochs trained again")
    lines = [
        (
            fold.name,
            str(fold.phase),
            f"{fold.epoch} of {fold.epochs_target}",
            "-" if fold.proven_epochs is None else str(fold.proven_epochs),
            dice(fold.mean_validation_dice),
            str(fold.attempts or 0),
            str(fold.lost_epochs or 0),
        )
        for fold in status.folds
    ]
    return f"<h2>Folds</h2>\n<table>{_cells('th', titles)}{''.join(_cells('td', line) for line in lines)}</table>"


def _made_of(found: Watched) -> Iterator[Row]:
    yield "Dataset", found.dataset
    yield "Configuration", found.configuration
    made = found.status.provenance
    if made is None:
        return
    yield "Trainer image", made.image or ""
    yield "Its digest", made.image_digest or ""
    yield "nnU-Net", made.nnunet_version or ""
    yield "torch", made.torch_version or ""
    yield "Device", made.device or ""
    yield "Seed", "" if made.seed is None else str(made.seed)
    yield "Dataset hash", made.dataset_hash or ""
    yield "Plans hash", made.plans_hash or ""
    yield "Splits hash", made.splits_hash or ""
    yield "Evidence", made.evidence_path or ""


def _policies(status: NnunetTrainingStatus) -> Iterator[Row]:
    for decision in status.policy.decisions if status.policy else []:
        broken = f" ({', '.join(decision.broken_rules)})" if decision.broken_rules else ""
        yield f"{decision.policy}, generation {decision.generation}", f"{decision.mode}: {decision.outcome}{broken}"


def _section(title: str, rows: Iterable[Row]) -> str:
    """Return a table of what is known, or nothing."""
    lines = [f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows if value]
    return f"<h2>{escape(title)}</h2>\n<table>{''.join(lines)}</table>" if lines else ""


def _cells(tag: str, texts: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(text)}</{tag}>' for text in texts)}</tr>"


def _box(text: str) -> str:
    return f'<p class="box">{escape(text)}</p>'


def _time(time: Time | None) -> str:
    return rfc3339(time) if time else ""
