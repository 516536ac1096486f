"""The trainings of a comparison: which were registered, which are awaited, and whether they can be compared."""

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime

from nnunet_api.comparison.conditions import (
    MAY_MIX,
    Difference,
    Known,
    differences,
    founded,
    of_provenance,
    of_spec,
    unfounded,
)
from nnunet_api.comparison.contract import ComparedArm, ComparedRun, ComparisonContract
from nnunet_api.comparison.model import MUTABLE_FIELDS
from nnunet_api.comparison.status import RegisteredTraining, Registration
from nnunet_api.reasons import ConditionType
from nnunet_operator.core.comparison.model import Comparison, Trainings, Unreadable
from nnunet_operator.core.training import Training, run_of

PROVEN = ("datasetHash", "splitsHash")
"""What the status of each training that is complete has to tell."""
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
                over = now_there.status.holds(ConditionType.COMPLETE)
                found.append(RegisteredTraining(arm=arm.name, name=name, uid=now_there.uid, complete=over))
    if before.digest or len(found) < len(comparison.spec.training_names):
        return before.model_copy(update={"trainings": found})
    return Registration(trainings=found, digest=_digest(comparison, found), time=now.replace(microsecond=0))


def _digest(comparison: Comparison, trainings: list[RegisteredTraining]) -> str:
    """Return the SHA-256 over what can't change: the spec without where and when it runs, and the trainings."""
    spec = {key: value for key, value in comparison.spec.to_json_dict().items() if key not in MUTABLE_FIELDS}
    content = {"spec": spec, "trainings": [one.to_json_dict() for one in trainings]}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def reordered(comparison: Comparison) -> bool:
    """Tell whether the arms, the baseline first, stand in another order than when they were registered."""
    before = comparison.status.registration
    if before is None or not before.digest:
        return False
    known = list(dict.fromkeys(one.arm for one in before.trainings))
    return known != [arm.name for arm in comparison.spec.ordered_arms]


def changed(registration: Registration, trainings: Trainings) -> list[RegisteredTraining]:
    """Return the registered trainings that are gone, or whose name another one has."""
    found = []
    for one in registration.trainings:
        now = trainings.get(one.name)
        if now is None or (isinstance(now, Training) and now.uid != one.uid):
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
            yield name, "is not there", False
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


def not_comparable(comparison: Comparison, trainings: Trainings) -> list[Difference]:
    """Return why the arms can't be compared, as far as specs, and the status of what is complete, tell."""
    spec = comparison.spec
    present = list(_present(comparison, trainings))
    stated = [Known(arm, name, of_spec(training.spec)) for arm, name, training in present]
    found = differences(stated, spec.varies)
    repeated = list(_seeds_that_repeat(comparison, trainings))
    if len(stated) < len(spec.training_names):
        # The set of an arm's seeds is known once all of its trainings are there; all else stays as it is.
        return [*(one for one in found if one.path not in MAY_MIX), *repeated]
    found += repeated
    found += unfounded(stated, spec.varies, last=False)
    if any(one.spec.test_set is None and len(one.spec.folds) < 2 for _, _, one in present):
        matter = "without a test set the cross-validation is compared, and that takes at least two folds: give testSet"
        found.append(Difference("testSet", matter))
    over = [training for _, _, training in present if training.status.holds(ConditionType.COMPLETE)]
    if found or len(over) < len(stated):
        return found
    made = [
        Known(arm, name, of_provenance(training.status.provenance))
        for arm, name, training in present
        if training.status.provenance
    ]
    return differences(made, spec.varies, required=PROVEN)


def _seeds_that_repeat(comparison: Comparison, trainings: Trainings) -> Iterator[Difference]:
    """Yield the arms in which a seed is trained more than once: the same model again is no further replicate."""
    for arm in comparison.spec.ordered_arms:
        present = [one for name in arm.trainings if isinstance(one := trainings.get(name), Training)]
        seeds = [
            one.spec.trainer.seed + number
            for one in present
            for number in range(one.spec.replicates)
            if one.spec.trainer.seed is not None
        ]
        if twice := sorted({seed for seed in seeds if seeds.count(seed) > 1}):
            said = ", ".join(map(str, twice[:_SHOWN]))
            matter = f"arm {arm.name} trains seed {said} more than once, which is no further replicate: give others"
            yield Difference("trainer.seed", matter)


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
        configuration=training.spec.configuration,
        folds=[key.name for key in training.spec.fold_keys],
    )


def _present(comparison: Comparison, trainings: Trainings) -> Iterator[tuple[str, str, Training]]:
    """Yield arm, name and training of those that are there and can be read."""
    for arm in comparison.spec.ordered_arms:
        for name in arm.trainings:
            if isinstance(training := trainings.get(name), Training):
                yield arm.name, name, training
