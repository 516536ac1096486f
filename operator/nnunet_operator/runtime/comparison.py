"""A stored NnunetComparison, parsed, with the trainings of its arms."""

from typing import Any

from pydantic import ValidationError

from nnunet_api.comparison.model import NnunetComparisonSpec
from nnunet_api.comparison.status import NnunetComparisonStatus
from nnunet_operator.core.comparison.model import Comparison, Unreadable
from nnunet_operator.core.training import Training
from nnunet_operator.kube.objects import Manifest
from nnunet_operator.runtime.training import InvalidSpecError, parse_spec, parse_status, parse_training


def parse_comparison(body: Manifest) -> Comparison:
    """Return the comparison. Raises InvalidSpecError, and ValueError for a status that does not parse."""
    metadata: dict[str, Any] = body["metadata"]
    try:
        status = NnunetComparisonStatus.model_validate(body.get("status") or {}, by_alias=True, by_name=False)
    except ValidationError as error:
        raise ValueError(f"the stored status does not parse, so it is left alone: {error}") from None
    return Comparison(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata["generation"],
        resource_version=metadata["resourceVersion"],
        spec=parse_spec(NnunetComparisonSpec, body),
        status=status,
        deleting=bool(metadata.get("deletionTimestamp")),
    )


def training_of_arm(body: Manifest) -> Training | Unreadable:
    """Return a training, or why it can't be read."""
    try:
        return parse_training(body, parse_status(body))
    except (InvalidSpecError, ValueError) as error:
        return Unreadable(str(error))
