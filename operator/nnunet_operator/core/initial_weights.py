"""Where the weights lie that a training begins with, and what it waits for until they are there."""

from dataclasses import replace
from typing import Any

from nnunet_api.contract import SHA256_DIGITS, PlanFacts
from nnunet_api.folders import inside
from nnunet_api.initial_weights import CASES_FILE, InitialWeightsFacts, WeightsSource
from nnunet_api.reasons import ConditionType, Reason
from nnunet_operator.core.observation import Observation, State, Trouble
from nnunet_operator.core.rounding import count, harmless, text
from nnunet_operator.core.training import Training, models_of, run_of

CHECKPOINT = "checkpoint_final.pth"


def weights_source(training: Training) -> WeightsSource | Trouble | None:
    """Return where the checkpoint lies, or why that can't be told; None for random weights, and once it is copied.

    The copy in the run's own folder is what counts from then on, whatever becomes of the training that it is from.
    """
    wanted = training.spec.initial_weights
    if wanted is None or _copied(training):
        return None
    if wanted.claim:
        return WeightsSource(claim_name=wanted.claim.claim_name, path=inside("", wanted.claim.path))
    assert wanted.training is not None, "the schema asks for one of the two"
    name, source = wanted.training.name, training.weights_from
    if name == training.name:
        return _waits(f"waits for itself: spec.initialWeights.training.name is {name}, which is its own name")
    if source is None and training.weights_from_unreadable:
        return _waits(
            f"waits for training {name}, whose weights it begins with: it is there, and its spec or status can't be "
            "read"
        )
    if source is None:
        return _waits(f"waits for training {name}, whose weights it begins with: there is none in this namespace")
    if not source.status.holds(ConditionType.COMPLETE):
        phase = source.status.phase or "Pending"
        return _waits(f"waits for training {name}, whose weights it begins with: it is not complete ({phase})")
    return _final_checkpoint(source, wanted.training.fold, training.spec.configuration_names[0])


def _copied(training: Training) -> InitialWeightsFacts | None:
    """Return what the status says of the weights once they are copied and looked at; None before that."""
    return training.status.provenance.initial_weights if training.status.provenance else None


def _model_path(source: Training, configuration: str) -> str:
    """Return where the model of a configuration lies, from the root of the claim; nothing where that isn't known."""
    provenance, results = source.status.provenance, source.status.results
    models = models_of(source, inside(source.spec.storage.results.sub_path, run_of(source)))
    # Paths in the status of an older operator are the word of the training's own image.
    told = [results.model_path, *(one.model_path for one in results.configurations or [])] if results else []
    plans = models.plans_name(provenance.plans_name if provenance else None, told)
    return models.path(configuration, plans) if plans else ""


def _final_checkpoint(source: Training, fold: str | None, configuration: str) -> WeightsSource | Trouble:
    """Return the final checkpoint of a fold of a complete training, as its verification has proven it.

    Of several configurations it is that with the same name.
    """
    names = source.spec.configuration_names
    if len(names) > 1 and configuration not in names:
        return _waits(
            f"waits for training {source.name}, which has configurations {', '.join(names)} and no {configuration}: "
            "copy a checkpoint out of its run, and name it in spec.initialWeights.claim of a new training"
        )
    folds = [one for one in source.status.folds if one.replicate in (None, 1)]
    folds = [one for one in folds if len(names) == 1 or one.configuration == configuration]
    found = next((one for one in folds if fold in (None, one.fold)), None)
    if found is None:
        there = ", ".join(one.fold for one in folds)
        return _waits(f"waits for fold {fold} of training {source.name}, which has folds {there}")
    results = source.spec.storage.results
    model = _model_path(source, configuration if len(names) > 1 else names[0])
    if not model or not found.checkpoint_hash:
        return _waits(f"waits for training {source.name}, whose status does not say where its verified model lies")
    if len(found.checkpoint_hash) < SHA256_DIGITS:
        return _waits(
            f"waits for training {source.name}, which has so many fold runs that only {len(found.checkpoint_hash)} of "
            f"{SHA256_DIGITS} digits of its checkpoint's SHA-256 are proven, too few to tell it from another file: "
            "copy the checkpoint out of its run, and name it in spec.initialWeights.claim of a new training"
        )
    provenance = source.status.provenance
    return WeightsSource(
        claim_name=results.claim_name,
        path=f"{model}/{found.key.folder}/{CHECKPOINT}",
        sha256=found.checkpoint_hash,
        training=source.name,
        uid=source.uid,
        fold=found.name,
        epochs=found.proven_epochs,
        dataset_hash=provenance.dataset_hash if provenance else None,
    )


def claim_to_read(training: Training) -> str:
    """Return the claim of the training whose weights are still to be copied; "" where none is, or it is not known."""
    if training.weights_from is None or _copied(training):
        return ""
    return training.weights_from.spec.storage.results.claim_name


def cases_path(training: Training) -> str:
    """Return where the run of the source lists the cases that it has seen, from the root of its claim; "" for none."""
    source = training.weights_from
    return inside(source.spec.storage.results.sub_path, f"{run_of(source)}/{CASES_FILE}") if source else ""


def _waits(matter: str) -> Trouble:
    return Trouble(Reason.WAITING_FOR_WEIGHTS, matter)


def planned_with_weights(training: Training, plan: Observation, _min_epochs: int) -> Observation:
    """Return the planning as blocked where it has no Job yet and its weights are not there.

    As failed where it has looked at other weights than those that were copied for it.
    """
    trouble = weights_source(training)
    if not plan.exists and plan.name_free and isinstance(trouble, Trouble):
        return replace(plan, state=State.BLOCKED, name_free=False, trouble=trouble)
    if plan.exists and plan.report and plan.report.plan and (doubt := _doubt_of(training, plan, plan.report.plan)):
        # Also before its Job is complete: nothing of it is ever told.
        plan = replace(plan, report=None)
        if plan.state is State.COMPLETED:
            plan = replace(plan, state=State.FAILED, trouble=Trouble(Reason.WRONG_CONFIGURATION, doubt))
    return plan


def _doubt_of(training: Training, plan: Observation, facts: PlanFacts) -> str:
    """Return why a planning is not believed to begin with the weights that spec.initialWeights names, or ""."""
    if training.spec.initial_weights is None:
        return ""
    stated, proven = facts.initial_weights, _known_of(training, plan).get("sha256")
    if stated is None:
        return (
            "preprocessing has looked at no weights although spec.initialWeights names some: is trainer.image of a "
            "release that knows them?"
        )
    if proven and stated.sha256 != proven:
        return (
            f"preprocessing has looked at weights with SHA-256 {harmless(stated.sha256[:SHA256_DIGITS])}, and those "
            f"that were copied for it have {proven}: does trainer.image do what the operator's own does?"
        )
    return ""


def _known_of(training: Training, plan: Observation) -> dict[str, Any]:
    """Return what the operator knows itself of the weights: from its own Job, or since an earlier planning."""
    if plan.weights:
        return {key: value for key, value in plan.weights.model_dump().items() if key != "sha256" or value}
    before = _copied(training)
    return before.model_dump(include=set(WeightsSource.model_fields)) if before else {}


def weights_facts(
    training: Training, plan: Observation, stated: InitialWeightsFacts | None
) -> InitialWeightsFacts | None:
    """Return what planning says of the weights, but where they are from: that is what the operator knows itself.

    Nothing is in it that a terminal would obey. Of a file on a claim the SHA-256 is the word of planning.
    """
    if stated is None or training.spec.initial_weights is None:
        return None
    stated = stated.model_copy(update=_known_of(training, plan))
    words = {key: text(value) for key, value in stated.model_dump().items() if isinstance(value, str)}
    counts = {key: count(getattr(stated, key)) for key in ("epochs", "epochs_in_checkpoint")}
    layers = [harmless(name[:256]) for name in stated.not_taken]
    return stated.model_copy(update={**words, **counts, "not_taken": layers})
