"""A stored NnunetComparison, parsed, with the trainings of its arms."""

from typing import Any

from pydantic import ValidationError

from nnunet_api.comparison.model import NnunetComparisonSpec
from nnunet_api.comparison.status import NnunetComparisonStatus
from nnunet_api.comparison.template import with_made_names
from nnunet_api.labels import COMPARISON_LABEL, short_name
from nnunet_operator.core.comparison.model import Comparison, Stranger, Unreadable
from nnunet_operator.core.training import Training
from nnunet_operator.kube.objects import Manifest
from nnunet_operator.runtime.training import InvalidSpecError, parse_spec, parse_status, parse_training


def parse_comparison(body: Manifest) -> Comparison:
    """Return the comparison. Raises InvalidSpecError, and ValueError for a status that does not parse."""
    metadata: dict[str, Any] = body["metadata"]
    status = parse_comparison_status(body)
    return Comparison(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata["generation"],
        resource_version=metadata["resourceVersion"],
        spec=with_made_names(parse_spec(NnunetComparisonSpec, body), metadata["name"]),
        status=status,
        deleting=bool(metadata.get("deletionTimestamp")),
    )


def parse_comparison_status(body: Manifest) -> NnunetComparisonStatus:
    """Return the stored status. Raises ValueError where it does not parse: then nothing may be written."""
    try:
        return NnunetComparisonStatus.model_validate(body.get("status") or {}, by_alias=True, by_name=False)
    except ValidationError as error:
        raise ValueError(f"the stored status does not parse, so it is left alone: {error}") from None


def training_of_arm(body: Manifest, comparison: Comparison) -> Training | Unreadable:
    """Return a training, or why it can't be read."""
    metadata = body["metadata"]
    labels, before = metadata.get("labels") or {}, comparison.status.registration
    known = before is not None and any(one.uid == metadata["uid"] for one in before.trainings)
    ours = known or labels.get(COMPARISON_LABEL) == short_name(comparison.name)
    if metadata["name"] in comparison.made_names and not ours:
        return Stranger(f"it does not have the label {COMPARISON_LABEL}: {short_name(comparison.name)}")
    try:
        return parse_training(body, parse_status(body))
    except (InvalidSpecError, ValueError) as error:
        return Unreadable(str(error))
