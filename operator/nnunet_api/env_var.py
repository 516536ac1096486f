"""An environment variable of the trainer: its value, or where that comes from."""

from typing import Annotated

from pydantic import ConfigDict, Field

from nnunet_api.base import ApiModel, ObjectName, cel
from nnunet_api.environment import refusal_rules, value_rules


class KeyRef(ApiModel):
    """A key of a Secret or ConfigMap in the namespace of the training."""

    name: ObjectName
    """Name of the object."""
    key: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
    """Key in it."""
    optional: bool = False
    """Without the object, or the key in it, the variable is not set; else the pod does not start."""


class EnvSource(ApiModel):
    """Where the value of a variable comes from: a Secret or a ConfigMap."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            ("has(self.secretKeyRef) != has(self.configMapKeyRef)", "give one of secretKeyRef and configMapKeyRef")
        )
    )

    secret_key_ref: KeyRef | None = None
    """A key of a Secret."""
    config_map_key_ref: KeyRef | None = None
    """A key of a ConfigMap."""


class EnvVar(ApiModel):
    """An environment variable of the trainer."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            ("!has(self.valueFrom) || !has(self.value) || self.value == ''", "give value or valueFrom, not both"),
            *value_rules(),
        )
    )

    name: Annotated[
        str,
        Field(
            min_length=1,
            max_length=128,
            pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
            json_schema_extra=cel(*refusal_rules()),
        ),
    ]
    """Name of the variable. What makes the loader, the interpreter or a shell run other code (LD_PRELOAD, PYTHONPATH,
    PATH, ...) belongs into the image."""
    value: Annotated[str, Field(max_length=4096)] = ""
    """Value of the variable."""
    value_from: EnvSource | None = None
    """Where the value comes from, in place of value. It is read when a pod starts."""
