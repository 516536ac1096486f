"""The trainings of a comparison: which were registered, which are awaited, and whether they can be compared."""

from collections.abc import Iterator
from datetime import datetime
from types import MappingProxyType

from nnunet_api.comparison.conditions import Difference, Known, differences, founded, of_provenance, of_spec
from nnunet_api.comparison.contract import ComparedArm, ComparedRun, ComparisonContract
from nnunet_api.comparison.registration import digest_of
from nnunet_api.comparison.stated import Specs, named, stated_differences
from nnunet_api.comparison.status import RegisteredTraining, Registration
from nnunet_api.reasons import ConditionType
from nnunet_operator.core.comparison.model import Comparison, Stranger, Trainings, Unreadable
from nnunet_operator.core.training import Training, run_of

PROVEN = ("datasetHash", "splitsHash")
"""What the status of each training that is complete has to tell."""
NONE: Specs = MappingProxyType({})
_SHOWN = 5


def registered(comparison: Comparison, trainings: Trainings, now: datetime) -> Registration:
    """Return what is registered: each training as it was when it was first seen, and a digest once all have been."""
    before = comparison.status.registration or Registration()
    known = {one.name: one for one in before.trainings}
    found = []
    for arm in comparison.spec.ordered_arms:
        for name in arm.trainings:
            now_there = trainings.get(name)
            if name in known:
                found.append(known[name])
            elif isinstance(now_there, Training):
                known_by_then = _scores_known(now_there)
                found.append(RegisteredTraining(arm=arm.name, name=name, uid=now_there.uid, complete=known_by_then))
    if before.digest or len(found) < len(comparison.spec.training_names):
        return before.model_copy(update={"trainings": found})
    return Registration(trainings=found, digest=digest_of(comparison.spec, found), time=now.replace(microsecond=0))


def _scores_known(training: Training) -> bool:
    """Tell whether what decides could be known: the scores of its test set, or of a fold where there is none.

    One that was scored may be failed for its policy, or waits to be tried again: it is not complete for that.
    """
    status = training.status
    if status.holds(ConditionType.COMPLETE) or status.results is not None:
        return True
    return training.spec.test_set is None and any(fold.mean_validation_dice is not None for fold in status.folds)


def changed(registration: Registration, trainings: Trainings) -> list[RegisteredTraining]:
    """Return the registered trainings that are gone, or whose name another one has."""
    found = []
    for one in registration.trainings:
        now = trainings.get(one.name)
        if now is None or isinstance(now, Stranger) or (isinstance(now, Training) and now.uid != one.uid):
            found.append(one)
    return found


def awaited(comparison: Comparison, trainings: Trainings) -> tuple[str, bool]:
    """Return which trainings the verdict waits for, in words, and whether one of them has failed; "" for none."""
    waits = [(name, why, failed) for name, why, failed in _unready(comparison, trainings) if why]
    if not waits:
        return "", False
    waits.sort(key=lambda one: not one[2])  # what failed first: it needs somebody
    said = "; ".join(f"training {name} {why}" for name, why, _ in waits[:_SHOWN])
    more = f"; and {len(waits) - _SHOWN} more" if len(waits) > _SHOWN else ""
    return f"{said}{more}", waits[0][2]


def _unready(comparison: Comparison, trainings: Trainings) -> Iterator[tuple[str, str, bool]]:
    for name in comparison.spec.training_names:
        training = trainings.get(name)
        if training is None:
            made = name in comparison.made_names
            yield name, "is created once the others are there" if made else "is not there", False
        elif isinstance(training, Unreadable):
            yield name, f"can't be read: {training.why}", True
        else:
            yield name, *_why_not(training)


def _why_not(training: Training) -> tuple[str, bool]:
    """Return why a training can't be compared yet, and whether it has failed."""
    failed = training.status.condition(ConditionType.FAILED)
    if failed and failed.status == "True":
        return f"has failed ({failed.reason})", True
    if training.deleting:
        return "is being deleted", True
    if not training.status.holds(ConditionType.COMPLETE):
        return f"is not complete ({training.status.phase or 'Pending'})", False
    proven = training.status.condition(ConditionType.EPOCHS_PROVEN)
    if proven is None or proven.status != "True":
        return "is complete, but its epochs are not proven", True
    if training.status.results is None or training.status.results.summary_hash is None:
        words = "was evaluated by an older image, which left no hash of its scores: train and evaluate anew"
        return words, True
    return "", False


def not_comparable(comparison: Comparison, trainings: Trainings, specs: Specs = NONE) -> list[Difference]:
    """Return why the arms can't be compared, as far as specs, and the status of what is complete, tell.

    `specs` are those of the trainings that the comparison makes: they count before these are there.
    """
    spec = comparison.spec
    present = list(_present(comparison, trainings))
    known = {**specs, **{name: training.spec for _, name, training in present}}
    found = stated_differences(spec, known)
    over = [training for _, _, training in present if training.status.holds(ConditionType.COMPLETE)]
    if found or len(over) < len(spec.training_names):
        return found
    made = [
        Known(arm, name, of_provenance(training.status.provenance))
        for arm, name, training in present
        if training.status.provenance
    ]
    return differences(made, spec.varies, required=PROVEN)


def contract_of(comparison: Comparison, trainings: Trainings, digest: str) -> ComparisonContract:
    """Return what the Job is told. All trainings have to be there and complete."""
    spec = comparison.spec
    known = [
        Known(arm, name, {**of_spec(one.spec), **of_provenance(one.status.provenance)})
        for arm, name, one in _present(comparison, trainings)
        if one.status.provenance
    ]
    present = {name: one for _, name, one in _present(comparison, trainings)}
    return ComparisonContract(
        namespace=comparison.namespace,
        name=comparison.name,
        uid=comparison.uid,
        registration=digest,
        arms=[
            ComparedArm(name=arm.name, runs=[_run(present[name]) for name in arm.trainings])
            for arm in spec.ordered_arms
        ],
        test_set=present[spec.training_names[0]].spec.test_set is not None,
        classes=spec.classes,
        max_dice_loss=spec.max_dice_loss,
        alpha=spec.alpha,
        varies=spec.varies,
        founded=founded(known, spec.varies),
    )


def _run(training: Training) -> ComparedRun:
    results, provenance = training.status.results, training.status.provenance
    return ComparedRun(
        training=training.name,
        uid=training.uid,
        folder=run_of(training),
        summary_hash=(results.summary_hash if results else None) or "",
        configuration_hash=(provenance.configuration_hash if provenance else None) or "",
        configuration=training.spec.configuration_names[0],
        folds=[key.name for key in training.spec.fold_keys],
    )


def _present(comparison: Comparison, trainings: Trainings) -> Iterator[tuple[str, str, Training]]:
    """Yield arm, name and training of those that are there and can be read."""
    for arm, name in named(comparison.spec):
        if isinstance(training := trainings.get(name), Training):
            yield arm, name, training
