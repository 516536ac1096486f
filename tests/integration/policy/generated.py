"""Random policies, namespaces and trainings, mostly near the bounds that they are judged by."""

import random
from typing import Any, get_args

from nnunet_api.policy.model import MAX_LIFTED, LiftableRule
from tests.integration.policy.support import DIGEST, exception, in_time
from tests.support.api import Object
from tests.support.builders import training

NAMES = ["hippo", "prostate", "x"]
LABELS = {"nnunet.dev/clinical": ["true", "false", ""], "nnunet.dev/site": ["a", "b", "c"], "nnunet.dev/x": ["", "1"]}
EPOCHS = [1, 10, 249, 250, 251, 999, 1000, 1001, 100_000]
MODES = ["Disabled", "Observe", "Anneal", "Stop"]
IMAGES = [
    "",
    "trainer:latest",
    DIGEST,
    DIGEST + "0",
    DIGEST[:-1],
    DIGEST.upper(),
    f"a@b@sha256:{'0' * 64}",
    f"@sha256:{'a' * 64}",
    f"trainer:1@sha256:{'a' * 64}",
    f"trainer@sha256:{'g' * 64}",
    "~name/tra!ner:1",
    "trainer:5000/evil",
    "trainer/evil",
    "registry.example:5000/trainer",
    "registry.example/trainer-evil:1",
    "registry.example/trainer/sub:1",
    "registry.example/trainer:1",
    "x" * 512,
]
CLASSES = ["nnUNetTrainer", "nnUNetTrainer_5epochs", "Own", *(f"nnUNetTrainer_{'v' * 90}_{n}" for n in range(14))]
CONFIGURATIONS = ["2d", "3d_fullres", "3d_lowres", *(f"3d_fullres_{'p' * 20}_{n}" for n in range(13))]
ENV = ["nnUNet_compile", "nnUNet_n_proc_DA", "OMP_NUM_THREADS", "RARE_A", "RARE_B", "rare_a"]
ENV_ALLOWED = [*ENV[:3], "RARE_*", "nnUNet_*", "R*", *(f"X{'e' * 90}_{n}" for n in range(10))]
LEADING_OUT = [
    "registry.example/../evil/trainer:1",
    "registry.example//evil.example/trainer:1",
    "registry.example/./trainer:1",
    "registry.example/trainer:v1..2",
]
"""Of a folder by their beginning; the last one is of it indeed."""
REPOSITORIES = ["trainer", "registry.example/*", "registry.example/trainer", DIGEST, "trainer/*", "x"]
CLAIMS = ["nnunet-raw", "nnunet-preprocessed", "nnunet-results", "nnunet", "pacs-archive"]
CLASSES_OF_STORAGE = ["nvme", "nnunet-archive"]
TEMPLATES = ["one-gpu", "all-gpus"]
DEVICES = ["nvidia.com/gpu", "amd.com/gpu", "nvidia.com/mig-3g.40gb", "devices.kubevirt.io/kvm"]
ONES = {
    "serviceAccountName": ["default", "trainer", "backup", ""],
    "priorityClassName": ["low", "system-node-critical", ""],
    "runtimeClassName": ["nvidia", "kata", ""],
}
KEYS = ["app", "team", "example.org/a", "example.org/b", "Zone", f"k{'k' * 60}.example/{'n' * 60}"]
TAINTS: list[Any] = ["nvidia.com/gpu", "node-role.kubernetes.io/control-plane", "", None, "example.org/spot"]
AFFINITY = ["nodeAffinity", "podAffinity", "podAntiAffinity", "other"]
OBJECTS = ["team-a", "team-b", "tls", "pacs"]
WEIGHTS = ["training/x", "training/hippo", "claim/nnunet-raw", "claim/pacs-archive"]
PATTERNS = ["example.org/*", "nvidia.com/*", "t*", "*", *(f"p{'q' * 80}_{n}" for n in range(4))]
PROFILED = ["seccompProfile/RuntimeDefault", "appArmorProfile/Localhost/*"]
POD_RULES: dict[str, list[str]] = {
    "allowedImages": REPOSITORIES,
    "allowedClaims": [*CLAIMS, "nnunet-*", *PATTERNS],
    "allowedGpuResources": [*DEVICES, "resourceclaimtemplates/one-gpu", "resourceclaimtemplates/*", *PATTERNS],
    "allowedServiceAccounts": [*ONES["serviceAccountName"][:3], *PATTERNS],
    "allowedPriorityClasses": [*ONES["priorityClassName"][:2], *PATTERNS],
    "allowedRuntimeClasses": [*ONES["runtimeClassName"][:2], *PATTERNS],
    "allowedImagePullSecrets": [*OBJECTS, *PATTERNS],
    "allowedPodLabels": [*KEYS[:5], *PATTERNS],
    "allowedPodAnnotations": [*KEYS[:5], *PATTERNS],
    "allowedNodeSelectors": [*KEYS[:5], *PATTERNS],
    "allowedTolerations": [*TAINTS[:2], *PATTERNS],
    "allowedAffinity": AFFINITY[:3],
    "allowedSecurityContext": [
        "runAsUser/*",
        "runAsUser/unset",
        "runAsGroup/unset",
        "fsGroup/5",
        "s*",
        *PROFILED,
        *PATTERNS,
    ],
    "allowedSecrets": [*OBJECTS, *PATTERNS],
    "allowedConfigMaps": [*OBJECTS, *PATTERNS],
    "allowedJobAnnotations": [*KEYS[:5], *PATTERNS],
    "allowedInitialWeights": [*WEIGHTS, "claim/*", "training/*", "*"],
}
PROFILES = [{"type": "RuntimeDefault"}, {"type": "Localhost", "localhostProfile": "a/b.json"}]
SOME = ("allowedClaims", "allowedServiceAccounts")
"""Rules whose list can't be empty."""
RATES = [
    1e-12,
    1e-05,
    1.5e-05,
    0.0001,
    0.00019999,
    0.0002,
    0.00020001,
    0.001,
    0.01,
    0.1,
    0.30000000000000004,
    1,
    2.5,
    10,
]
MEMORIES = [1e-07, 0.5, 7.999999, 8, 8.0, 24, 123.456, 1000]
PLANNERS = ["ExperimentPlanner", "nnUNetPlannerResEncM", "Tiny", *(f"Planner_{'q' * 90}_{n}" for n in range(13))]
OWN = [{}, {"patch_size": [16, 16, 16]}, {"inherits_from": "2d", "batch_size": 2}]
GPUS = [0, 1, 2, 3, 4, 5, 8, 10, 25, 50, 80, 1000]


def _some(rng: random.Random, values: list[Any], most: int) -> list[Any]:
    return rng.sample(values, rng.randint(0, min(most, len(values))))


def _maybe(rng: random.Random, chance: float, **fields: Any) -> Object:
    return fields if rng.random() < chance else {}


def labels(rng: random.Random) -> dict[str, str]:
    """Return labels of a namespace."""
    return {key: rng.choice(values) for key, values in LABELS.items() if rng.random() < 0.6}


def _requirement(rng: random.Random, namespaces: list[str]) -> Object:
    key = rng.choice([*LABELS, "kubernetes.io/metadata.name"])
    operator = rng.choice(["In", "NotIn", "Exists", "DoesNotExist"])
    values = LABELS.get(key, namespaces)
    chosen = {"values": rng.sample(values, rng.randint(1, len(values)))} if operator in ("In", "NotIn") else {}
    return {"key": key, "operator": operator, **chosen}


def _selector(rng: random.Random, namespaces: list[str]) -> Object:
    if rng.random() < 0.4:
        return {}
    matched = {key: rng.choice(values) for key, values in LABELS.items() if rng.random() < 0.3}
    expressions = [_requirement(rng, namespaces) for _ in range(rng.choice([0, 0, 1, 1, 2]))]
    return {"matchLabels": matched, "matchExpressions": expressions}


def _exception(rng: random.Random, namespace: str, name: str) -> Object:
    """Return an exception whose time is not within an hour of where it begins or ceases to count."""
    ends = {"days": 1}, {"days": 365}, {"hours": 1}, {"hours": -1}, {"days": -400}, {"days": 367}, {"days": 9000}
    lifted = _some(rng, list(get_args(LiftableRule)), MAX_LIFTED)
    floor = _maybe(rng, 0.6, minEpochs=rng.choice(EPOCHS))
    terms = _maybe(rng, 0.2, requireComparison={})
    return exception(namespace, name, expiresAt=in_time(**rng.choice(ends)), liftedRules=lifted, **floor, **terms)


def rules(rng: random.Random) -> Object:
    """Return rules, of which about a third are there."""
    stopping = {
        **_maybe(rng, 0.8, allowedModes=_some(rng, MODES, 2)),
        **_maybe(rng, 0.5, minEpochs=rng.choice(EPOCHS)),
    }
    return {
        **_maybe(rng, 0.4, minEpochs=rng.choice(EPOCHS)),
        **_maybe(rng, 0.4, minIterationsPerEpoch=rng.choice([1, 125, 250])),
        **_maybe(rng, 0.3, minInitialLearningRate=rng.choice(RATES)),
        **_maybe(rng, 0.3, maxWarmupEpochs=rng.choice([0, 1, 50, 100, 10_000])),
        **_maybe(rng, 0.3, allowedPlanners=_some(rng, PLANNERS, 16)),
        **_maybe(rng, 0.3, minGpuMemoryTargetGB=rng.choice(MEMORIES)),
        **_maybe(rng, 0.7, earlyStopping=stopping),
        **{rule: rng.random() < 0.5 for rule in ("requireImageDigest", "requireSeed", "requireTestSet")},
        **_maybe(rng, 0.2, minReplicates=rng.choice([1, 2, 10])),
        **_maybe(rng, 0.6, requireComparison=_maybe(rng, 0.5, maxDiceLoss=0.02)),
        **_maybe(rng, 0.2, maxTestLooks=rng.choice([1, 100])),
        **_maybe(rng, 0.3, allowedTrainerClasses=_some(rng, CLASSES, 16)),
        **_maybe(rng, 0.3, allowedConfigurations=_some(rng, CONFIGURATIONS, 16)),
        **_maybe(rng, 0.3, allowedEnv=_some(rng, ENV_ALLOWED, 16)),
        **_maybe(rng, 0.4, maxGpus=rng.choice(GPUS)),
        **_pod_rules(rng),
    }


def _pod_rules(rng: random.Random) -> Object:
    return {
        name: _some(rng, values, 3) or (values[:1] if name in SOME else [])
        for name, values in POD_RULES.items()
        if rng.random() < 0.22
    }


def policy(rng: random.Random, namespaces: list[str]) -> Object:
    """Return the spec of a policy."""
    selector = _maybe(rng, 0.8, namespaceSelector=_selector(rng, namespaces))
    named = {"namespaces": _some(rng, namespaces, 3)} if not selector or rng.random() < 0.4 else {}
    trainings = [(namespace, name) for namespace in namespaces for name in NAMES]
    return {
        "mode": rng.choice(["Enforce", "Enforce", "Warn", "Audit"]),
        **selector,
        **named,
        "rules": rules(rng),
        "exceptions": [_exception(rng, *one) for one in rng.sample(trainings, rng.choice([0, 2, 8, 16]))],
    }


def _planning(rng: random.Random) -> Object:
    own = {name: rng.choice(OWN) for name in _some(rng, [*CONFIGURATIONS, "Z", "_a"], 16)}
    return {
        **_maybe(rng, 0.5, gpuMemoryTargetGB=rng.choice(MEMORIES)),
        **_maybe(rng, 0.5, planner=rng.choice(PLANNERS)),
        **_maybe(rng, 0.5, configurations=own),
    }


def _pod_template(rng: random.Random) -> Object:
    maps = ("labels", "annotations", "nodeSelector", "jobAnnotations")
    tolerated = [{"operator": "Exists"}, *({"key": key, "operator": "Exists"} for key in TAINTS)]
    return {
        **{name: rng.choice(values) for name, values in ONES.items() if rng.random() < 0.5},
        **{name: dict.fromkeys(_some(rng, KEYS, 4), "v") for name in maps if rng.random() < 0.4},
        **_maybe(rng, 0.4, tolerations=_some(rng, tolerated, 3)),
        **_maybe(rng, 0.4, affinity={kind: {} for kind in _some(rng, AFFINITY, 3)}),
        **_maybe(rng, 0.4, imagePullSecrets=[{"name": name} for name in _some(rng, OBJECTS, 3)]),
        **_maybe(rng, 0.4, securityContext=_security_context(rng)),
        **_maybe(rng, 0.4, volumes=[_volume(rng, name) for name in _some(rng, ["a", "b", "c"], 3)]),
    }


def _security_context(rng: random.Random) -> Object:
    return {
        **{
            name: rng.choice([1, 5, 2**31 - 1]) for name in ("runAsUser", "runAsGroup", "fsGroup") if rng.random() < 0.5
        },
        **_maybe(rng, 0.4, supplementalGroups=_some(rng, [0, 5, 5000], 3)),
        **_maybe(rng, 0.2, supplementalGroupsPolicy=rng.choice(["Merge", "Strict"])),
        **_maybe(rng, 0.2, seccompProfile=rng.choice(PROFILES)),
        **_maybe(rng, 0.2, appArmorProfile=rng.choice(PROFILES)),
        **_maybe(rng, 0.3, seLinuxOptions=rng.choice([{}, {"level": "s0"}, {"level": "s0:c1", "type": "container_t"}])),
    }


def _volume(rng: random.Random, name: str) -> Object:
    kind, key = rng.choice([("secret", "secretName"), ("configMap", "name")])
    return {"name": name, kind: {key: rng.choice(OBJECTS)}}


def _variable(rng: random.Random, name: str) -> Object:
    if name in ENV[:2] or rng.random() < 0.5:
        return {"name": name, "value": "1"}
    source = rng.choice(["secretKeyRef", "configMapKeyRef"])
    return {"name": name, "valueFrom": {source: {"name": rng.choice(OBJECTS), "key": "k"}}}


def _weights(rng: random.Random) -> Object:
    if rng.random() < 0.5:
        return {"training": {"name": rng.choice(NAMES)}}
    return {"claim": {"claimName": rng.choice(CLAIMS), "path": "a.pth"}}


def one_training(rng: random.Random, namespace: str) -> Object:
    """Return a training that the schema lets through."""
    replicates = rng.choice([1, 1, 1, 2, 10])
    everything = rng.random() < 0.2
    gpus = rng.choice([0, 1, 1, 2, 16])
    trainer = {
        **_maybe(rng, 0.8, image=rng.choice(IMAGES)),
        **_maybe(rng, 1.0 if replicates > 1 else 0.5, seed=rng.choice([0, 1, 2**31 - 1])),
        **_maybe(rng, 0.6, className=rng.choice(CLASSES)),
        **_maybe(rng, 0.4, env=[_variable(rng, name) for name in _some(rng, ENV, 4)]),
        **({"device": "cpu"} if gpus == 0 else {}),
    }
    epochs = rng.choice(EPOCHS)
    warmups = [warmup for warmup in (1, 50, 99, 100, 101, 999, 10_000) if warmup < epochs]
    stopping = {**_maybe(rng, 0.8, mode=rng.choice(MODES)), **_maybe(rng, 0.6, minEpochs=rng.choice(EPOCHS))}
    schedule = {
        "epochs": epochs,
        **_maybe(rng, 0.4, initialLearningRate=rng.choice(RATES)),
        **_maybe(rng, 0.3, learningRatePolicy=rng.choice(["Poly", "Cosine"])),
        **_maybe(rng, 0.3, warmupEpochs=rng.choice([1, 50, 999])),
        **_maybe(rng, 0.3, iterationsPerEpoch=rng.choice([1, 2, 63, 249, 250, 251, 100_000])),
    }
    if warmups and rng.random() < 0.3:
        schedule |= {"learningRatePolicy": "PolyWithWarmup", "warmupEpochs": rng.choice(warmups)}
    spec = {
        "trainOnAllCases": everything,
        "folds": [] if everything else rng.sample(range(5), rng.randint(1, 5)),
        "schedule": schedule,
        "trainer": trainer,
        "replicates": replicates,
        "resources": _resources(rng, gpus),
        "dataset": {"name": "Dataset004_Hippocampus", **_maybe(rng, 0.2, claimName=rng.choice(CLAIMS))},
        **_maybe(rng, 0.3, storage={part: {"claimName": rng.choice(CLAIMS)} for part in ("preprocessed", "results")}),
        **_maybe(rng, 0.8, podTemplate=_pod_template(rng)),
        **_maybe(rng, 0.3, queuePriorityClassName=rng.choice(ONES["priorityClassName"][:2])),
        **_maybe(rng, 0.5, earlyStopping=stopping),
        **_maybe(rng, 0.5, testSet=_maybe(rng, 0.5, images="imagesTs")),
        **_maybe(rng, 0.6, comparison="shorter"),
        **_configurations(rng),
        **_maybe(rng, 0.4, planning=_planning(rng)),
        **_maybe(rng, 0.5, maxParallelFolds=rng.randint(1, 5)),
    }
    if not everything and replicates == 1 and rng.random() < 0.3:
        spec["selection"] = _maybe(rng, 0.5, ensembles=rng.random() < 0.5)
    if len(spec.get("configurations", ())) > 1:
        spec |= {"replicates": min(replicates, 2)}
        if "selection" not in spec:
            spec.pop("testSet", None)
    if len(spec.get("configurations", ())) < 2 and rng.random() < 0.2:
        own = spec.get("planning", {}).get("configurations")
        spec |= {"initialWeights": _weights(rng), "planning": {"configurations": own} if own else {}}
    return training(namespace, rng.choice(NAMES), **_with_copy(spec))


def _with_copy(spec: Object) -> Object:
    """Return a spec with a local copy, or without one, by chance of its own: what is drawn besides stays the same."""
    own = random.Random(repr(spec))
    claim = {"claim": {"storageClassName": own.choice(CLASSES_OF_STORAGE), "size": "1Gi"}}
    copy = _maybe(own, 0.2, localCopy=own.choice([claim, claim, {"sizeLimit": "1Gi"}]))
    storage = spec.get("storage", {})
    return (
        {**spec, "storage": {**storage, "preprocessed": {**storage.get("preprocessed", {}), **copy}}} if copy else spec
    )


def _resources(rng: random.Random, gpus: int) -> Object:
    found = {"gpus": gpus, **_maybe(rng, 0.4, gpuResourceName=rng.choice(DEVICES))}
    return {**found, **_maybe(rng, 0.2 if gpus else 0, gpuClaimTemplateName=rng.choice(TEMPLATES))}


def _configurations(rng: random.Random) -> Object:
    """Return what is trained in the present form, in the former one, or by default."""
    form = rng.random()
    if form < 0.4:
        return {"configurations": rng.sample(CONFIGURATIONS[:3], rng.randint(1, 3))}
    return {"configuration": rng.choice(CONFIGURATIONS)} if form < 0.7 else {}
