"""The digest of what was registered: whether a comparison is still what it was before its result was known. Pure.

An operator of before may have made it, from fewer fields and in another form. Its comparisons go on.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nnunet_api.comparison.model import MUTABLE_FIELDS, NnunetComparisonSpec
from nnunet_api.comparison.status import NnunetComparisonStatus, RegisteredTraining
from nnunet_api.training import DEFAULT_CONFIGURATION

_IN_FULL = frozenset(
    """
    affinity alpha annealEpochs annotations arms baseline bestCheckpoint claimName className classes
    comparison configMap configMapKeyRef configuration configurations cpu cpuLimit dataset device
    earlyStopping effect env ephemeralStorage epochs evaluation expectedDifferenceSD folds fsGroup
    fsGroupChangePolicy gpuMemoryTargetGB gpuResourceName gpus image imagePullPolicy imagePullSecrets images
    initialLearningRate iterationsPerEpoch jobAnnotations key labels learningRatePolicy level maxDiceLoss
    maxParallelFolds memory metadata metric minDelta minEpochs mode name nodeSelector operator optional
    patch patienceEpochs pilot planner planning podTemplate preprocessed preprocessing priorityClassName
    queueName queuePriorityClassName replicates resources restartOnStall results retryLimit runAsGroup
    runAsUser runtimeClassName schedule seLinuxOptions secret secretKeyRef secretName securityContext seed
    serviceAccountName sharedMemory spec stallTimeoutSeconds storage subPath supplementalGroups
    surfaceToleranceMm suspend template testSet tolerationSeconds tolerations topologySpreadConstraints
    trainOnAllCases trainer trainings ttlSecondsAfterFinished type validationIterationsPerEpoch value
    valueFrom varies volumes warmupEpochs
    """.split()  # noqa: SIM905
)
"""Names of all fields that there were when digests were made of specs in full. Closed: later ones are left out."""


def digest_of(spec: NnunetComparisonSpec, trainings: Iterable[RegisteredTraining]) -> str:
    """Return the SHA-256 over what can't change: the spec without where and when it runs, and the trainings.

    `spec` has the names of the trainings that the comparison makes. What is as it would be by default is left out: so
    a field that a later version brings changes no digest.
    """
    return _digest(_stated(spec), trainings)


def is_as_registered(spec: NnunetComparisonSpec, status: NnunetComparisonStatus) -> bool:
    """Tell whether spec and trainings are those that were registered; also as long as not all of them are."""
    known = status.registration
    if known is None or not known.digest:
        return True
    return known.digest in (digest_of(spec, known.trainings), _first_digest_of(spec, known.trainings))


def _first_digest_of(spec: NnunetComparisonSpec, trainings: Iterable[RegisteredTraining]) -> str:
    """Return the digest as operators made it at first: of the spec with all defaults, as far as there were fields."""
    full, stated = spec.to_json_dict(), _stated(spec)
    if spec.template:
        of_each = full["template"]["spec"]
        if spec.template.spec.configurations is None:
            of_each.setdefault("configuration", DEFAULT_CONFIGURATION)
        if not of_each["resources"]["configurations"]:
            # Planning has a field of this name, and had it then.
            del of_each["resources"]["configurations"]
    return _digest(_as_then(full, stated), trainings)


def _stated(spec: NnunetComparisonSpec) -> dict[str, Any]:
    stated = spec.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
    if spec.template and spec.template.spec.configuration == DEFAULT_CONFIGURATION:
        # It was the default as long as the field had one, and no part of what was registered.
        del stated["template"]["spec"]["configuration"]
    return stated


def _as_then(full: Any, stated: Any) -> Any:
    """Return a value in full, without the fields that came later and are as they would be by default."""
    if isinstance(full, Mapping):
        known = stated if isinstance(stated, Mapping) else {}
        kept = {name: value for name, value in full.items() if name in known or name in _IN_FULL}
        return {name: _as_then(value, known.get(name)) for name, value in kept.items()}
    if isinstance(full, Sequence) and not isinstance(full, str):
        places = stated if isinstance(stated, Sequence) and len(stated) == len(full) else [None] * len(full)
        return [_as_then(value, place) for value, place in zip(full, places, strict=True)]
    return full


def _digest(spec: Mapping[str, Any], trainings: Iterable[RegisteredTraining]) -> str:
    fixed = {key: value for key, value in spec.items() if key not in MUTABLE_FIELDS}
    # Named one by one: what a later version notes of a training besides changes no digest.
    known = [{"arm": one.arm, "name": one.name, "uid": one.uid, "complete": one.complete} for one in trainings]
    content = {"spec": fixed, "trainings": known}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
