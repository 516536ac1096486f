"""Generate the CustomResourceDefinitions from the pydantic models.

Run `python -m nnunet_operator.api.crd` to print the YAML-compatible JSON of every CRD.
"""

import json
import re
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from nnunet_operator.api import training
from nnunet_operator.api.base import GROUP, VERSION, cel
from nnunet_operator.api.status import NnunetTrainingStatus

_DROPPED = {"title", "$defs", "discriminator", "uniqueItems"}
_VERBATIM = {"x-kubernetes-validations", "x-kubernetes-list-map-keys", "enum", "required"}


class _StructuralSchema(GenerateJsonSchema):
    """pydantic's JSON schema, bent to what Kubernetes calls structural."""

    def nullable_schema(self, schema: Any) -> dict[str, Any]:
        # Optional[X] means that the field may be absent; Kubernetes prunes or refuses null.
        return self.generate_inner(schema["schema"])

    def generate(self, schema: Any, mode: JsonSchemaMode = "validation") -> dict[str, Any]:
        root = super().generate(schema, mode)
        structural = _structural(root, root.get("$defs", {}))
        assert isinstance(structural, dict)
        return structural


def _resolve(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Put a referenced definition in place; what stands beside the reference (default, text) wins."""
    if "$ref" not in node:
        return node
    target = definitions[node["$ref"].rsplit("/", 1)[1]]
    return {**target, **{key: value for key, value in node.items() if key != "$ref"}}


def _structural(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_structural(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    node = _resolve(node, definitions)
    out: dict[str, Any] = {}
    for key, value in node.items():
        if key in _DROPPED or (key == "additionalProperties" and value is False) or key == "propertyNames":
            continue
        if key == "properties":
            out[key] = {name: _structural(field, definitions) for name, field in value.items()}
        elif key == "default":
            if value is not None:
                out[key] = value
        elif key == "description":
            out[key] = re.sub(r"\s+", " ", value)
        elif key == "const":
            out["enum"] = [value]
        elif key in ("exclusiveMinimum", "exclusiveMaximum"):
            out[key.replace("exclusiveM", "m")] = value
            out[key] = True
        elif key in _VERBATIM:
            out[key] = value
        else:
            out[key] = _structural(value, definitions)
    return _typed(out)


def _typed(schema: dict[str, Any]) -> dict[str, Any]:
    patterns = schema.pop("patternProperties", None)
    if patterns:
        # Structural schemas know no patternProperties: the form of the keys becomes a CEL rule.
        ((pattern, values),) = patterns.items()
        schema["additionalProperties"] = values
        rule = (f"self.all(key, key.matches('{pattern}'))", f"names must match {pattern}")
        schema.update(cel(rule))
    if schema.get("type") == "integer":
        schema.setdefault("format", "int64")
    if schema.get("x-kubernetes-int-or-string"):
        del schema["type"]
    if schema.get("additionalProperties") is True:
        # dict[str, Any]: contents that somebody else validates.
        del schema["additionalProperties"]
        schema["x-kubernetes-preserve-unknown-fields"] = True
    return schema


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema(schema_generator=_StructuralSchema)


def _prune_defaults(schema: dict[str, Any]) -> dict[str, Any]:
    """Replace the default of an object by {}: the API server then fills in the defaults of its fields."""
    for field in schema.get("properties", {}).values():
        if field.get("type") == "object" and "default" in field and "properties" in field:
            field["default"] = {}
        _prune_defaults(field)
    return schema


_COLUMNS: list[dict[str, Any]] = [
    {"name": "Phase", "type": "string", "jsonPath": ".status.phase"},
    {"name": "Epoch", "type": "string", "jsonPath": ".status.progress.summary"},
    {"name": "Dice", "type": "string", "jsonPath": ".status.results.summary"},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    {"name": "Configuration", "type": "string", "jsonPath": ".spec.configuration", "priority": 1},
    {"name": "Dataset", "type": "string", "jsonPath": ".spec.dataset.name", "priority": 1},
    {"name": "Folds", "type": "string", "jsonPath": ".spec.folds", "priority": 1},
    {
        "name": "Seconds-left",
        "type": "integer",
        "jsonPath": ".status.progress.estimatedSecondsLeft",
        "priority": 1,
    },
    {
        "name": "Message",
        "type": "string",
        "jsonPath": '.status.conditions[?(@.type=="Progressing")].message',
        "priority": 1,
    },
]


def training_crd() -> dict[str, Any]:
    """Return the CustomResourceDefinition of NnunetTraining."""
    spec = _prune_defaults(_schema(training.NnunetTrainingSpec))
    spec.update(cel(*training.spec_rules()))
    schema = {
        "type": "object",
        "description": "A nnU-Net v2 training: planned, preprocessed, trained fold by fold, and evaluated.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": _schema(NnunetTrainingStatus),
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{training.PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": training.KIND,
                "listKind": f"{training.KIND}List",
                "plural": training.PLURAL,
                "singular": "nnunettraining",
                "shortNames": ["nnt"],
                "categories": ["nnunet"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": _COLUMNS,
                    "selectableFields": [{"jsonPath": ".status.phase"}, {"jsonPath": ".spec.suspend"}],
                }
            ],
        },
    }


def all_crds() -> list[dict[str, Any]]:
    """Return every CustomResourceDefinition of the product."""
    return [training_crd()]


if __name__ == "__main__":
    print(json.dumps(all_crds(), indent=2))  # noqa: T201
