"""How a policy selects namespaces by their labels."""

from typing import Annotated, Literal

from pydantic import Field

from nnunet_api.base import GROUP, ApiModel, cel

NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name"
"""Label that Kubernetes sets on each namespace to its name."""
# The size of a policy is what admission costs: see model.py.
MAX_REQUIREMENTS = 8
MAX_VALUES = 16
LabelValue = Annotated[str, Field(max_length=63)]
_GUARDED = (
    f"only labels under {GROUP}/ and {NAMESPACE_NAME_LABEL} are guarded against change by those whom a policy is for, "
    "so only they may select"
)


class SelectorRequirement(ApiModel):
    """A requirement on a label of a namespace."""

    key: Annotated[
        str,
        Field(
            min_length=1,
            max_length=317,
            json_schema_extra=cel((f"self.startsWith('{GROUP}/') || self == '{NAMESPACE_NAME_LABEL}'", _GUARDED)),
        ),
    ]
    """Key of the label: under nnunet.dev/, or kubernetes.io/metadata.name."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """In, NotIn (also where the label is missing), Exists or DoesNotExist."""
    values: Annotated[list[LabelValue], Field(max_length=MAX_VALUES)] = []
    """Values for In and NotIn; none for the others."""


class NamespaceSelector(ApiModel):
    """Selects namespaces by their labels, as everywhere in Kubernetes: all requirements must hold, {} selects all."""

    match_labels: Annotated[
        dict[Annotated[str, Field(max_length=317)], LabelValue],
        Field(
            max_length=MAX_REQUIREMENTS,
            json_schema_extra=cel(
                (f"self.all(key, key.startsWith('{GROUP}/') || key == '{NAMESPACE_NAME_LABEL}')", _GUARDED)
            ),
        ),
    ] = {}
    """Labels and the values that they must have."""
    match_expressions: Annotated[
        list[SelectorRequirement],
        Field(
            max_length=MAX_REQUIREMENTS,
            json_schema_extra=cel(
                (
                    "self.all(e, e.operator in ['In', 'NotIn'] ? has(e.values) && e.values.size() > 0 : "
                    "!has(e.values) || e.values.size() == 0)",
                    "In and NotIn need values; Exists and DoesNotExist take none",
                )
            ),
        ),
    ] = []
    """Further requirements on labels."""
