"""Jobs that ask for what is no longer asked for, and of which nothing runs: they are made anew.

A Job's pod template can't change, so a training that is put right would wait for ever for the pod that could not be.
What runs is left alone: it takes a suspension to give it other resources. Nothing that is read back from a Job is
compared, which webhooks and queues change, but what the operator asked for when it made the Job, and of the training's
fields alone: an upgrade of the operator makes no waiting Job anew, which would lose its place in a queue. The one
exception is an upgrade after which a Job asks for other resources, as that of an evaluation with a test set does under
spec.resources.configurations: the mark that it had does not tell whether these were there when it was made.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any

from nnunet_api.fold_key import FoldKey
from nnunet_api.reasons import Reason
from nnunet_api.remedies.remedy import Case
from nnunet_api.stages import STAGES
from nnunet_api.training import NnunetTrainingSpec
from nnunet_operator.core.observation import Observation, State
from nnunet_operator.core.training import Options, Training

_OF_SETTINGS = (Reason.IMAGE_UNAVAILABLE, Reason.POD_REJECTED, Reason.CONTAINER_CONFIG_ERROR)
"""What the operator's settings may have brought about: another image, or another user, may mend it."""
_NOT_OF_SETTINGS = (Case.INJECTED, Case.SILENT_NODE)
"""What is in others' hands; a node that says nothing may be about to have pulled the image."""
_NOT_OF_PROOF = {"labels", "annotations", "job_annotations", "volumes", "service_account_name"}
MARK = re.compile(r"[0-9a-f]{16}")
"""What a mark looks like. Anything else is somebody else's, and says nothing."""


def asked_for(spec: NnunetTrainingSpec, stage: str, key: FoldKey | None = None) -> str:
    """Return a mark of what a training asks of the Jobs of a stage, or of one fold run, as far as that may change.

    Values that are the defaults are left out, so that a field that a later version adds changes no mark.
    """
    own = spec.resources.of(key.configuration) if key else spec.resources
    if key is None and STAGES[stage].on_gpu(spec):
        own = own.of_all(spec.configuration_names)
    resources = own.model_dump(mode="json", exclude_defaults=True, exclude={"configurations"})
    preprocessing = resources.pop("preprocessing", {})
    if not STAGES[stage].on_gpu(spec):
        resources = {**preprocessing, "shared_memory": resources.get("shared_memory")}
    # The verification's Job has none of what a webhook could go by.
    left_out = _NOT_OF_PROOF if STAGES[stage].proves else None
    pod = spec.pod_template.model_dump(mode="json", exclude_defaults=True, exclude=left_out)
    priority = [spec.queue_priority_class_name] if spec.queue_priority_class_name else []
    # By its name, and only where it is asked for: the marks of all other Jobs stay what they were.
    local = spec.storage.preprocessed.local_copy if key else None
    copy = [{"localCopy": local.model_dump(mode="json", exclude_defaults=True)}] if local else []
    return _mark([resources, pod, spec.queue_name, spec.retry_limit, *priority, *copy])


def operators_settings(options: Options) -> str:
    """Return a mark of the settings on the trainer's image, what it is pulled with, and as whom it runs."""
    security = options.security.model_dump(mode="json", exclude_defaults=True)
    return _mark([options.trainer_image, list(options.image_pull_secrets), security])


def outdated(training: Training, children: Iterable[Observation], options: Options) -> tuple[Observation, ...]:
    """Return the children whose Job is to be made anew."""
    return tuple(seen for seen in children if _waits(seen) and _differs(training, seen, options))


def _waits(seen: Observation) -> bool:
    return seen.stands and not seen.ended and seen.idle and seen.state in (State.BLOCKED, State.STARTING)


def _differs(training: Training, seen: Observation, options: Options) -> bool:
    if _is_other(seen.asked_for, asked_for(training.spec, seen.child.stage, seen.child.fold)):
        return True
    # The settings may be others without anybody wanting that for what waits in a queue.
    trouble = seen.trouble
    concerned = trouble is not None and trouble.reason in _OF_SETTINGS and trouble.case not in _NOT_OF_SETTINGS
    return concerned and _is_other(seen.operators_settings, operators_settings(options))


def _is_other(told: str, now: str) -> bool:
    return MARK.fullmatch(told) is not None and told != now


def _mark(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
