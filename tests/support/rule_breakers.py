"""A document for each rule of the CustomResourceDefinitions that breaks it, and for what holds of all kinds."""

from collections.abc import Iterator
from typing import Any

from nnunet_api.crd import comparison_crd, policy_crd, training_crd

RULES, LIST_TYPE = "x-kubernetes-validations", "x-kubernetes-list-type"
KEPT = ("int(self) == self",)
"""Rules that no file can break: what they refuse never gets out of kubectl."""


def _env(name: str, value: str = "") -> dict[str, Any]:
    return {"trainer": {"env": [{"name": name, "value": value}]}}


def _weights(path: str) -> dict[str, Any]:
    return {"initialWeights": {"claim": {"claimName": "models", "path": path}}}


_LOCAL = {"storageClassName": "local", "size": "10Gi"}


def _copy(**copy: Any) -> dict[str, Any]:
    return {"storage": {"preprocessed": {"localCopy": copy}}}


def _expression(**fields: Any) -> dict[str, Any]:
    key = {"key": "nnunet.dev/site", "operator": "In", "values": ["a"]}
    return {"namespaceSelector": {"matchExpressions": [{**key, **fields}]}}


_EXCEPTION = {
    "namespace": "a",
    "name": "b",
    "reason": "for this test alone",
    "ticket": "1",
    "approvedBy": "c",
    "expiresAt": "2026-12-01T00:00:00Z",
}

TRAININGS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("must be relative to the root of the claim", {"dataset": {"name": "Dataset001_A", "subPath": "/x"}}),
    ("must be relative to the root of the claim", {"storage": {"preprocessed": {"subPath": "/"}}}),
    ("must not contain '..'", {"dataset": {"name": "Dataset001_A", "subPath": "../x"}}),
    ("must not contain '..'", {"storage": {"results": {"subPath": "a/.."}}}),
    ("names must match", {"planning": {"configurations": {"3d-tiny": {}}}}),
    ("keys must have at most 64 characters", {"planning": {"configurations": {"a" * 65: {}}}}),
    ("leave it out", {"planning": {"configurations": {"a": {"data_identifier": "x"}}}}),
    ("folds must differ", {"folds": [0, 0]}),
    ("is set by the operator", _env("nnUNet_results", "/x")),
    ("is set by the operator", _env("NNUNET_RUN_CONTRACT", "{}")),
    ("is set by the operator", _env("NNUNET_RUN_IMAGE_DIGEST", "x")),
    ("run other code than the image's", _env("LD_PRELOAD", "/x")),
    ("run other code than the image's", _env("PYTHONPATH", "/x")),
    ("or give other GPUs", _env("NVIDIA_VISIBLE_DEVICES", "all")),
    ("or give other GPUs", _env("AMD_VISIBLE_DEVICES", "all")),
    ("or give other GPUs", _env("NVIDIA_MOFED", "enabled")),
    ("nnUNet_n_proc_DA must be", _env("nnUNet_n_proc_DA", "many")),
    ("nnUNet_def_n_proc must be", _env("nnUNet_def_n_proc", "0")),
    ("nnUNet_compile must be", _env("nnUNet_compile", "yes")),
    ("nnUNet_compile must be", {"trainer": {"env": [{"name": "nnUNet_compile"}]}}),
    ("nnUNet_wandb_enabled must be", _env("nnUNet_wandb_enabled", "2")),
    (
        "give value or valueFrom, not both",
        {"trainer": {"env": [{"name": "A", "value": "1", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}]}},
    ),
    ("give one of secretKeyRef and configMapKeyRef", {"trainer": {"env": [{"name": "A", "valueFrom": {}}]}}),
    ("cpuLimit must be at least cpu", {"resources": {"cpu": "8", "cpuLimit": "7900m"}}),
    ("cpuLimit must be at least cpu", {"resources": {"preprocessing": {"cpu": "2", "cpuLimit": "1"}}}),
    ("give the key of the taint", {"podTemplate": {"tolerations": [{"effect": "NoSchedule"}]}}),
    ("give one of configMap and secret", {"podTemplate": {"volumes": [{"name": "a"}]}}),
    (
        "localhostProfile goes with type Localhost",
        {"podTemplate": {"securityContext": {"seccompProfile": {"type": "Localhost"}}}},
    ),
    (
        "localhostProfile goes with type Localhost",
        {"podTemplate": {"securityContext": {"appArmorProfile": {"type": "RuntimeDefault", "localhostProfile": "a"}}}},
    ),
    ("names must be [PREFIX/]NAME", {"podTemplate": {"labels": {"a b": "c"}}}),
    ("names must be [PREFIX/]NAME", {"podTemplate": {"jobAnnotations": {"a/b/c": ""}}}),
    ("are not for trainings to give", {"podTemplate": {"jobAnnotations": {"nnunet.dev/asked-for": "a"}}}),
    ("Duplicate value", {"trainer": {"env": [{"name": "A"}, {"name": "B"}, {"name": "A", "value": "1"}]}}),
    ("give folds, or trainOnAllCases", {"folds": []}),
    ("give folds, or trainOnAllCases", {"trainOnAllCases": True}),
    ("folds times replicates may be at most", {"folds": list(range(26)), "replicates": 2, "trainer": {"seed": 1}}),
    ("leaveOneOut makes a fold of each value", {"splits": {"leaveOneOut": "site", "groupBy": "patient"}}),
    ("subgroups must differ", {"evaluation": {"subgroups": ["site", "site"]}}),
    ("3d_cascade_fullres learns from the predictions of 3d_lowres", {"configuration": "3d_cascade_fullres"}),
    ("3d_cascade_fullres learns from the predictions of 3d_lowres", {"configurations": ["2d", "3d_cascade_fullres"]}),
    ("in more than capital letters", {"configurations": ["2d", "2D"]}),
    ("a stored one goes with configuration: null", {"configuration": "2d", "configurations": ["2d"]}),
    ("at most 40 fold runs", {"configurations": ["a", "b"], "replicates": 5, "trainer": {"seed": 1}}),
    ("a test set is scored once, by one model", {"configurations": ["2d", "3d_fullres"], "testSet": {}}),
    ("trainOnAllCases leaves none", {"selection": {}, "trainOnAllCases": True, "folds": []}),
    ("each replicate would come to its own", {"selection": {}, "replicates": 2, "trainer": {"seed": 1}}),
    ("a checkpoint is of one configuration", {**_weights("a.pth"), "configurations": ["2d", "3d_fullres"]}),
    ("the plans come with initialWeights", {**_weights("a.pth"), "planning": {"planner": "nnUNetPlannerResEncM"}}),
    ("the plans come with initialWeights", {**_weights("a.pth"), "planning": {"gpuMemoryTargetGB": 8}}),
    ("names a configuration that this training does not", {"resources": {"configurations": {"2d": {"cpu": "1"}}}}),
    (
        "cpuLimit of a configuration must be at least its cpu",
        {"resources": {"cpuLimit": "8", "configurations": {"3d_fullres": {"cpu": "16"}}}},
    ),
    ("must be at least 1 for trainer.device cuda", {"resources": {"gpus": 0}}),
    (
        "gpuClaimTemplateName needs gpus",
        {"resources": {"gpus": 0, "gpuClaimTemplateName": "one"}, "trainer": {"device": "cpu"}},
    ),
    ("replicates need trainer.seed", {"replicates": 2}),
    ("give one of training and claim", {"initialWeights": {}}),
    ("must be relative to the root of the claim", _weights("/a.pth")),
    ("must not contain '..'", _weights("a/../b.pth")),
    ("give one of sizeLimit and claim", _copy()),
    ("give one of sizeLimit and claim", _copy(sizeLimit="10Gi", claim=_LOCAL)),
    ("medium goes with sizeLimit", _copy(medium="Memory", claim=_LOCAL)),
    ("sizeLimit must be at least 1Mi", _copy(sizeLimit="50")),
    ("sizeLimit must be at least 1Mi", _copy(sizeLimit=50)),
    ("sizeLimit must be at least 1Mi", _copy(sizeLimit="65Ti")),
    ("size must be at least 1Mi", _copy(claim={**_LOCAL, "size": "500m"})),
    (
        "schedule.warmupEpochs must be less",
        {"schedule": {"epochs": 50, "learningRatePolicy": "PolyWithWarmup"}},
    ),
)
"""What the API server says, and a spec of a training that it says it to."""
POLICIES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("give namespaces or namespaceSelector", {"namespaces": None}),
    ("are guarded against change", {"namespaceSelector": {"matchLabels": {"team": "a"}}}),
    ("keys must have at most 317", {"namespaceSelector": {"matchLabels": {"nnunet.dev/" + "a" * 310: "a"}}}),
    ("are guarded against change", _expression(key="team")),
    ("In and NotIn need values", _expression(values=[])),
    ("In and NotIn need values", _expression(operator="Exists")),
    ("Duplicate value", {"namespaces": ["a", "a"]}),
    ("Duplicate value", {"rules": {"allowedTrainerClasses": ["A", "A"]}}),
    ("Duplicate value", {"rules": {"earlyStopping": {"allowedModes": ["Stop", "Stop"]}}}),
    ("Duplicate value", {"rules": {"allowedConfigurations": ["a", "a"]}}),
    ("Duplicate value", {"exceptions": [_EXCEPTION, _EXCEPTION]}),
    ("Duplicate value", {"exceptions": [{**_EXCEPTION, "liftedRules": ["maxGpus", "maxGpus"]}]}),
)
"""The same for policies."""
_A, _B = {"name": "a", "trainings": ["long"]}, {"name": "b", "trainings": ["short"]}


def _template(**spec: Any) -> dict[str, Any]:
    return {
        "arms": [_A, {"name": "b", "patch": {}}],
        "template": {"spec": {"dataset": {"name": "Dataset001_A"}, **spec}},
    }


COMPARISONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("must be the same in all arms", {"varies": ["testSet.labels"]}),
    ("must be the same in all arms", {"varies": ["splits.groupBy"]}),
    ("give trainings that there are, or patch", {"arms": [_A, {"name": "b"}]}),
    ("give trainings that there are, or patch", {**_template(), "arms": [_A, {**_B, "patch": {}}]}),
    ("baseline must be the name", {"baseline": "c"}),
    ("a training may be in one arm only", {"arms": [_A, {"name": "b", "trainings": ["long"]}]}),
    ("template and patch go together", {"arms": [_A, {"name": "b", "patch": {}}]}),
    ("template and patch go together", {**_template(), "arms": [_A, _B]}),
    ("not both", {"pilot": "a", "expectedDifferenceSD": 0.03}),
    ("set spec.suspend of the comparison", _template(suspend=True)),
    ("before the comparison is over", _template(ttlSecondsAfterFinished=1)),
    (
        "names must be [PREFIX/]NAME",
        {**_template(), "template": {**_template()["template"], "metadata": {"labels": {"a b": "c"}}}},
    ),
    ("Duplicate value", {"arms": [_A, _B, {"name": "a", "trainings": ["other"]}]}),
    ("Duplicate value", {"varies": ["schedule", "schedule"]}),
    ("replicates need trainer.seed", _template(replicates=2)),
)
"""The same for comparisons; those of their template are a training's."""
HEADS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("metadata.name", {"generateName": "T-"}),
    ("metadata.name", {"generateName": "a.-"}),
    ("metadata.name", {"generateName": "-"}),
    ("metadata.name", {"name": "T"}),
    ("metadata.name", {"name": "a..b"}),
    ("metadata.name", {"name": "a-"}),
    ("metadata.name", {"name": "a" * 254}),
    ("metadata.labels", {"name": "a", "labels": {"a": "two words"}}),
    ("metadata.labels", {"name": "a", "labels": {"a": "x" * 64}}),
    ("metadata.labels", {"name": "a", "labels": {"-a": "x"}}),
    ("metadata.labels", {"name": "a", "labels": {"A.example/": "x"}}),
    ("metadata.labels", {"name": "a", "labels": {"Upper.example/a": "x"}}),
    ("", {"name": "a", "labels": {"a": 1}}),
    ("", {"name": "a", "labels": ["a"]}),
    ("metadata.annotations", {"name": "a", "annotations": {"a b": "x"}}),
    ("", {"name": "a", "annotations": {"a": True}}),
    ("metadata.annotations", {"name": "a", "annotations": {"a": "x" * 262_144}}),
    ("unknown field", {"name": "a", "label": {"a": "b"}}),
)
"""The same for metadata."""
GOOD_HEADS: tuple[dict[str, Any], ...] = (
    {"generateName": "t-"},
    {"generateName": "t."[:1]},
    {"name": "a.b-c"},
    {"name": "a", "generateName": "T-"},
    {"name": "a", "labels": {"Example.org"[1:] + "/A_b.c": "", "a": "x" * 63, "b": None}},
    {"name": "a", "annotations": {"Upper.example/A": "any text\n"}},
)
"""Metadata that Kubernetes takes."""


def rules(kind: str) -> list[dict[str, str]]:
    """Return all rules of a definition that are asked where an object is made."""
    crds = {"NnunetTraining": training_crd, "NnunetTrainingPolicy": policy_crd, "NnunetComparison": comparison_crd}
    crd = crds[kind]()
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return [rule for rule in _rules(schema) if "oldSelf" not in rule["rule"] and rule["rule"] not in KEPT]


def _rules(node: Any) -> Iterator[dict[str, str]]:
    if isinstance(node, list):
        for item in node:
            yield from _rules(item)
    elif isinstance(node, dict):
        yield from node.get(RULES, ())
        if LIST_TYPE in node and node[LIST_TYPE] != "atomic":
            yield {"rule": f"list type {node[LIST_TYPE]}", "message": "Duplicate value"}
        for key, value in node.items():
            if key != RULES:
                yield from _rules(value)
