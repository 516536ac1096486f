"""A report of a training's status alone, for who may read the training and not its results claim. Pure."""

from collections.abc import Iterator
from datetime import datetime

from nnunet_api.conditions import Time, rfc3339
from nnunet_api.reasons import ConditionType
from nnunet_api.results import SelectionResult
from nnunet_api.status import NnunetTrainingStatus
from nnunet_api.words import counted
from nnunet_cli.kube.watched import Watched, message
from nnunet_cli.text.html_page import Row, heading, page, paragraph, section, table
from nnunet_cli.text.words import dice, duration

LACKS = (
    "the single cases, the subgroups, the curves, the surface distances of each class and the notes on scores that are "
    "undefined"
)
"""What the status does not hold."""


def status_report(found: Watched, now: datetime) -> str:
    """Return the page. It says first what it lacks."""
    status = found.status
    parts = [
        paragraph(
            f"Made on {now:%Y-%m-%d %H:%M} UTC of the status of the training alone. It lacks {LACKS}: they are in "
            f"report.html on the results claim. Who may run pods there fetches that by kubectl nnunet report "
            f"{found.name} -n {found.namespace}.",
            "box",
        ),
        *(paragraph(text, "box") for text in _to_mind(status)),
        section("What became of it", _course(found, now)),
        section("Scores", _scores(status)),
        section("Test Dice of each class", _classes(status)),
        _folds(status),
        section("What it was made from", _made_of(found)),
        section("Policies", _policies(status)),
    ]
    return page(f"Report of {found.namespace}/{found.name}, from its status", parts)


def _to_mind(status: NnunetTrainingStatus) -> Iterator[str]:
    for granted in status.policy.exceptions if status.policy else []:
        left = f", which left at least {counted(granted.min_epochs, 'epoch')}" if granted.min_epochs else ""
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
    if results.selection:
        yield from _selection(results.selection, tested=test is not None)
    if test:
        yield f"Test Dice ({counted(test.cases or 0, 'case')})", dice(test.mean)
    if surface:
        yield "Test NSD", dice(surface.nsd)
        yield "Test HD95", "" if surface.hd95_mm is None else f"{surface.hd95_mm:.2f} mm"
    for one in results.configurations or ():
        spread = "" if one.spread is None else f" ± {one.spread:.3f}"
        yield f"Cross-validation Dice of {one.configuration}", dice(one.mean_validation_dice) + spread
    if not results.configurations and not results.selection:
        yield "Cross-validation Dice", dice(results.mean_validation_dice)
    for each in results.replicates:
        yield (
            f"Replicate {each.replicate}, seed {each.seed}",
            (f"test {dice(each.test_dice)}, cross-validation {dice(each.mean_validation_dice)}"),
        )


def _selection(found: SelectionResult, tested: bool) -> Iterator[Row]:
    """Yield what was chosen. Where a test set was scored, it was after that, and only what was chosen."""
    before = ", before the test set was scored" if tested else ""
    yield f"Chosen by cross-validation{before}", " and ".join(found.chosen)
    yield "Configurations and pairs to choose from", "" if found.candidates is None else str(found.candidates)
    yield "Cross-validation Dice of what was chosen", dice(found.mean_validation_dice)
    if found.postprocessed_validation_dice is not None:
        yield "The same after postprocessing", dice(found.postprocessed_validation_dice)
        yield "All but the largest component is removed of", ", ".join(found.postprocessing) or "nothing"


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
    return f"{heading('Folds')}\n{table(titles, lines)}"


def _made_of(found: Watched) -> Iterator[Row]:
    yield "Dataset", found.dataset
    yield "Configuration", found.configuration
    if left_out := found.status.left_out_configurations:
        yield "Not planned by nnU-Net for this dataset, and left out", ", ".join(left_out)
    made = found.status.provenance
    compiled = max((fold.compile_seconds or 0 for fold in found.status.folds), default=0)
    if made is None:
        return
    yield "Trainer image", made.image or ""
    yield "Its digest", made.image_digest or ""
    for one in made.slipped_in or ():
        yield "Put into its pods by others", f"{one.what} ({', '.join(one.where)})"
    yield "nnU-Net", made.nnunet_version or ""
    yield "torch", made.torch_version or ""
    yield "torch.compile", made.torch_compile or ""
    yield "Which took in a fold's last attempt, at most", duration(compiled) if compiled else ""
    yield "Device", made.device or ""
    yield "Seed", "" if made.seed is None else str(made.seed)
    yield "Dataset hash", made.dataset_hash or ""
    yield "Plans hash", made.plans_hash or ""
    yield "Splits hash", made.splits_hash or ""
    if begins := made.initial_weights:
        origin = f"training {begins.training} fold {begins.fold}" if begins.training else begins.path
        known = [begins.form and f"of {begins.form}", begins.architecture]
        known += [begins.pretrained_by and f"by {begins.pretrained_by}"]
        known += [begins.pretrained_on and f"on {begins.pretrained_on}", f"SHA-256 {begins.sha256}"]
        yield "Begins with", f"{origin} ({', '.join(filter(None, known))})"
    yield "Evidence", made.evidence_path or ""


def _policies(status: NnunetTrainingStatus) -> Iterator[Row]:
    for decision in status.policy.decisions if status.policy else []:
        broken = f" ({', '.join(decision.broken_rules)})" if decision.broken_rules else ""
        yield f"{decision.policy}, generation {decision.generation}", f"{decision.mode}: {decision.outcome}{broken}"


def _time(time: Time | None) -> str:
    return rfc3339(time) if time else ""
