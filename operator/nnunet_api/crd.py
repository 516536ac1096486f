"""Generate the CustomResourceDefinitions from the pydantic models.

Run `python -m nnunet_api.crd` to print the YAML-compatible JSON of every CRD.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from nnunet_api import test_set, training, training_rules
from nnunet_api.base import GROUP, VERSION, cel
from nnunet_api.comparison import model as comparison
from nnunet_api.comparison.status import NnunetComparisonStatus
from nnunet_api.policy import model as policy
from nnunet_api.policy.status import PolicyUse
from nnunet_api.status import NnunetTrainingStatus

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
        if key in _DROPPED or (key == "additionalProperties" and value is False):
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
    # Structural schemas know neither patternProperties nor propertyNames: form and length of keys become CEL rules.
    # What the API server stores, the operator has to be able to read.
    rules: list[tuple[str, str]] = []
    for pattern, values in schema.pop("patternProperties", {}).items():
        schema["additionalProperties"] = values
        rules.append((f"self.all(key, key.matches('{pattern}'))", f"names must match {pattern}"))
    longest = schema.pop("propertyNames", {}).get("maxLength")
    if longest is not None:
        rules.append((f"self.all(key, key.size() <= {longest})", f"keys must have at most {longest} characters"))
    if rules:
        name = "x-kubernetes-validations"
        schema[name] = [*schema.get(name, []), *cel(*rules)[name]]
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


def _fix(schema: dict[str, Any], fixed: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Add to fields of an object, by their paths, the rules by which they can't change."""
    name = "x-kubernetes-validations"
    for path, rule in fixed.items():
        *above, field = path.split(".")
        properties = schema["properties"]
        for one in above:
            properties = properties[one]["properties"]
        properties[field] = {**properties[field], name: [*properties[field].get(name, []), *cel(rule)[name]]}
    return schema


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
    {"name": "Configuration", "type": "string", "jsonPath": ".spec['configuration','configurations']", "priority": 1},
    {"name": "Dataset", "type": "string", "jsonPath": ".spec.dataset.name", "priority": 1},
    {"name": "Folds", "type": "string", "jsonPath": ".spec.folds", "priority": 1},
    {
        "name": "Seconds-left",
        "type": "integer",
        "jsonPath": ".status.progress.estimatedSecondsLeft",
        "priority": 1,
    },
    {
        "name": "Early-stop",
        "type": "string",
        "jsonPath": '.status.conditions[?(@.type=="EarlyStopped")].reason',
        "priority": 1,
    },
    {"name": "GPU-seconds", "type": "integer", "jsonPath": ".status.usage.gpuSeconds", "priority": 1},
    {"name": "Chosen", "type": "string", "jsonPath": ".status.results.selection.summary", "priority": 1},
    {
        "name": "Message",
        "type": "string",
        "jsonPath": '.status.conditions[?(@.type=="Progressing")].message',
        "priority": 1,
    },
]


_POLICY_COLUMNS: list[dict[str, Any]] = [
    {"name": "Mode", "type": "string", "jsonPath": ".spec.mode"},
    {"name": "Min-epochs", "type": "integer", "jsonPath": ".spec.rules.minEpochs"},
    {"name": "Trainings", "type": "integer", "jsonPath": ".status.trainings"},
    {"name": "Denied", "type": "integer", "jsonPath": ".status.denied"},
    {"name": "Excepted", "type": "integer", "jsonPath": ".status.excepted"},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    {"name": "Warned", "type": "integer", "jsonPath": ".status.warned", "priority": 1},
    {"name": "Next-expiry", "type": "string", "jsonPath": ".status.nextExceptionExpiry", "priority": 1},
]


_COMPARISON_COLUMNS: list[dict[str, Any]] = [
    {"name": "Phase", "type": "string", "jsonPath": ".status.phase"},
    {"name": "Verdict", "type": "string", "jsonPath": ".status.verdict"},
    {"name": "Difference", "type": "string", "jsonPath": ".status.difference"},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    {"name": "Margin", "type": "number", "jsonPath": ".spec.maxDiceLoss", "priority": 1},
    {"name": "Cases", "type": "integer", "jsonPath": ".status.cases", "priority": 1},
    {
        "name": "Message",
        "type": "string",
        "jsonPath": '.status.conditions[?(@.type=="Progressing")].message',
        "priority": 1,
    },
]


_TEST_SET_COLUMNS: list[dict[str, Any]] = [
    {"name": "Looks", "type": "integer", "jsonPath": ".status.total"},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    {"name": "Images-hash", "type": "string", "jsonPath": ".spec.imagesHash", "priority": 1},
]


def training_crd() -> dict[str, Any]:
    """Return the CustomResourceDefinition of NnunetTraining."""
    return _crd(
        kind=training.KIND,
        plural=training.PLURAL,
        short_name="nnt",
        scope="Namespaced",
        description="A nnU-Net v2 training: planned, preprocessed, trained fold by fold, and evaluated.",
        spec=training.NnunetTrainingSpec,
        rules=training_rules.spec_rules(),
        fixed=training_rules.fixed_fields(),
        status=NnunetTrainingStatus,
        columns=_COLUMNS,
        selectable=[".status.phase", ".spec.suspend"],
    )


def policy_crd() -> dict[str, Any]:
    """Return the CustomResourceDefinition of NnunetTrainingPolicy."""
    return _crd(
        kind=policy.KIND,
        plural=policy.PLURAL,
        short_name="nntp",
        scope="Cluster",
        description="What trainings of some namespaces have to keep to: epochs, early stopping, seed, image, test set.",
        spec=policy.NnunetTrainingPolicySpec,
        rules=policy.policy_rules(),
        fixed={},
        status=PolicyUse,
        columns=_POLICY_COLUMNS,
        selectable=[".spec.mode"],
    )


def comparison_crd() -> dict[str, Any]:
    """Return the CustomResourceDefinition of NnunetComparison."""
    return _crd(
        kind=comparison.KIND,
        plural=comparison.PLURAL,
        short_name="nnc",
        scope="Namespaced",
        description="Whether a way of training is as good as another: under the same conditions, by the test set.",
        spec=comparison.NnunetComparisonSpec,
        rules=comparison.comparison_rules(),
        fixed=comparison.fixed_fields(),
        status=NnunetComparisonStatus,
        columns=_COMPARISON_COLUMNS,
        selectable=[".status.phase", ".spec.suspend"],
    )


def test_set_crd() -> dict[str, Any]:
    """Return the CustomResourceDefinition of NnunetTestSet."""
    return _crd(
        kind=test_set.KIND,
        plural=test_set.PLURAL,
        short_name="nnts",
        scope="Namespaced",
        description="How often a test set has been looked at: a ledger of the operator that outlives what looked.",
        spec=test_set.NnunetTestSetSpec,
        rules=[("self == oldSelf", "a ledger is of one test set: spec can't change after creation")],
        fixed={},
        status=test_set.NnunetTestSetStatus,
        columns=_TEST_SET_COLUMNS,
        selectable=[".spec.imagesHash"],
    )


def _crd(
    *,
    kind: str,
    plural: str,
    short_name: str,
    scope: str,
    description: str,
    spec: type[BaseModel],
    rules: list[tuple[str, str]],
    fixed: Mapping[str, tuple[str, str]],
    status: type[BaseModel],
    columns: list[dict[str, Any]],
    selectable: list[str],
) -> dict[str, Any]:
    schema = {
        "type": "object",
        "description": description,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": _fix(_prune_defaults(_schema(spec)), fixed) | cel(*rules),
            # One writer writes it as a whole: who wrote which of its fields is not worth a quarter of the object.
            "status": _schema(status) | {"x-kubernetes-map-type": "atomic"},
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": scope,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short_name],
                "categories": ["nnunet"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": columns,
                    "selectableFields": [{"jsonPath": path} for path in selectable],
                }
            ],
        },
    }


def all_crds() -> list[dict[str, Any]]:
    """Return every CustomResourceDefinition of the product."""
    return [training_crd(), policy_crd(), comparison_crd(), test_set_crd()]


if __name__ == "__main__":
    print(json.dumps(all_crds(), indent=2))  # noqa: T201
