"""Taints that pods tolerate, in Kubernetes' own form: typed, so that a slip is refused at `kubectl apply`."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from nnunet_api.base import INTEGER, ApiModel, cel

_KEY = r"^(([A-Za-z0-9][A-Za-z0-9.-]*/)?[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$"
MAX_SECONDS = 2**53
"""More than that no JSON number tells exactly, and it is longer than any cluster lives."""
_VALUE = r"^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$"


class Toleration(ApiModel):
    """A taint of nodes that the pods tolerate. What Kubernetes asks of it beside, it says when a pod is made."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                "(has(self.key) && self.key != '') || (has(self.operator) && self.operator == 'Exists')",
                "give the key of the taint, or operator: Exists for every taint",
            )
        )
    )

    key: Annotated[str | None, Field(max_length=317, pattern=_KEY)] = None
    """Key of the taint, for example nvidia.com/gpu. Without one, and with operator Exists, every taint is tolerated."""
    operator: Literal["Exists", "Equal", "Lt", "Gt"] | None = None
    """Exists, Equal (default), or where the cluster knows them Lt and Gt, which compare numbers."""
    value: Annotated[str | None, Field(max_length=63, pattern=_VALUE)] = None
    """Value of the taint; none with Exists."""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint. Default: every one."""
    toleration_seconds: Annotated[int | None, Field(ge=-MAX_SECONDS, le=MAX_SECONDS, json_schema_extra=INTEGER)] = None
    """For NoExecute: seconds for which a pod stays on a node that got the taint. Default: for good."""
