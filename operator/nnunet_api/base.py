"""Building blocks of the API models: naming, strictness, CEL rules, quantities."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

GROUP = "nnunet.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"


class ApiModel(BaseModel):
    """Base of all models that users or the API server see: camelCase, immutable, unknown keys refused."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    def to_json_dict(self) -> dict[str, Any]:
        """Return the JSON form that the API server stores: camelCase keys, absent instead of null."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class StatusModel(ApiModel):
    """Base of the status models: what a newer or older operator wrote is read without an error."""

    model_config = ConfigDict(extra="ignore")


def cel(*rules: tuple[str, str]) -> dict[str, Any]:
    """Return the JSON-schema extra that attaches (rule, message) pairs as CEL validations."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in rules]}


# The API server takes 1e3 or 1000.0 in raw JSON as a float64 for `type: integer`. Any CEL rule that uses
# the field as an int refuses those, hence this rule that is otherwise always true.
INTEGER = cel(("int(self) == self", "must be written as a whole number without exponent or decimal point"))


def _number_as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Quantity = Annotated[
    str,
    Field(
        pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$",
        max_length=20,
        json_schema_extra={"x-kubernetes-int-or-string": True, "minimum": 0},  # the minimum is for plain numbers
    ),
    BeforeValidator(_number_as_text),
]
"""A Kubernetes resource quantity: "8" or 8, "500m", "32Gi"."""

SubPath = Annotated[
    str,
    Field(
        max_length=255,
        # No control characters: it is part of messages, and a terminal would obey them.
        pattern=r"^[^\x00-\x1f\x7f]*$",
        json_schema_extra=cel(
            ("!self.startsWith('/')", "must be relative to the root of the claim: remove the leading /"),
            ("!self.split('/').exists(p, p == '..')", "must not contain '..'"),
        ),
    ),
]
"""A folder inside a claim, relative to its root; empty for the root itself."""

ClaimName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
"""Name of a PersistentVolumeClaim in the namespace of the training."""

ObjectName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
"""Name of an object in the namespace of the training."""
