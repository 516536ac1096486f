"""What the operator told a Job's containers when it made it, read back from the Job's spec."""

import json
from sys import intern

from nnunet_api.contract import CONTAINER_NAME, CONTRACT_ENV, IMAGE_ENV
from nnunet_api.initial_weights import WEIGHTS_ENV, WeightsSource
from nnunet_operator.kube.objects import Manifest, container_named, pod_spec_of


def image_told(spec: Manifest, container: str) -> str:
    """Return the image that the operator asked for; empty where that can't be read."""
    return intern(_told(spec, IMAGE_ENV, container).replace("$$", "$"))


def _told(spec: Manifest, variable: str, container: str = CONTAINER_NAME) -> str:
    """Return an environment variable that the operator gave to a Job's container; empty where there is none."""
    pod = pod_spec_of(spec)
    found = container_named(container, [*(pod.get("containers") or ()), *(pod.get("initContainers") or ())])
    return next((str(v.get("value") or "") for v in found.get("env") or [] if v.get("name") == variable), "")


def told_min_epochs(spec: Manifest) -> int:
    """Return the epochs before which the trainer was told not to stop; 0 where that can't be read."""
    try:
        return int((json.loads(_told(spec, CONTRACT_ENV) or "{}").get("policy") or {}).get("minEpochs") or 0)
    except (ValueError, TypeError, AttributeError):
        return 0


def weights_told(spec: Manifest) -> WeightsSource | None:
    """Return what the operator knew of the weights that it had copied; None where none were."""
    told = _told(spec, WEIGHTS_ENV).replace("$$", "$")
    try:
        return WeightsSource.model_validate_json(told) if told else None
    except ValueError:
        return None
