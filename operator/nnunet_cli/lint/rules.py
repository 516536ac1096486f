"""The CEL rules of the CustomResourceDefinitions, in Python: what the API server would say, where there is none. Pure.

Each rule has its twin here, by its text: a test fails for one that has none, so a rule that is changed is looked at
here, too. A CEL library could take the place of the twins; the one for Python that is kept up knows none of
Kubernetes' own functions, and there are two dozen rules.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from nnunet_api.cascade import CASCADE, CONFIGURATION_RULE, CONFIGURATIONS_RULE, LOWRES
from nnunet_api.comparison import model as comparison
from nnunet_api.comparison.conditions import ALWAYS_EQUAL, is_below
from nnunet_api.crd import comparison_crd, policy_crd, training_crd
from nnunet_api.environment import (
    LOADERS_NAMES,
    LOADERS_PREFIXES,
    OPERATORS_NAMES,
    OPERATORS_PREFIX,
    VALUES,
    refusal_rules,
    value_fault,
    value_rules,
)
from nnunet_api.local_copy import MEDIUM_RULE, ONE_VOLUME_RULE, SIZE_BOUNDS, bounds_rule
from nnunet_api.pod_template import JOB_ANNOTATIONS_RULE, PROFILE_RULE, RESERVED_ANNOTATIONS
from nnunet_api.policy import model as policy
from nnunet_api.policy.namespace_selector import NAMESPACE_NAME_LABEL
from nnunet_api.resources import CLAIM_RULE, CPU_LIMITS_RULE
from nnunet_api.splits import MAX_FOLDS
from nnunet_api.training import (
    DEFAULT_PLANNER,
    KIND,
    MAX_FOLD_RUNS,
    configurations_of,
)
from nnunet_api.training_rules import configuration_rules

RULES = "x-kubernetes-validations"
LIST_TYPE, LIST_KEYS = "x-kubernetes-list-type", "x-kubernetes-list-map-keys"
Holds = Callable[[Any], bool]


def broken_rules(kind: str, spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield field and message of each rule that a spec breaks, which has its defaults."""
    yield from _broken(_schema(kind), spec, "spec")


def is_transition(rule: str) -> bool:
    """Say whether a rule is about a change: it is not asked where an object is made."""
    return "oldSelf" in rule


def twin(rule: str) -> Holds | None:
    """Return the rule in Python; None where there is none."""
    if rule in _TWINS:
        return _TWINS[rule]
    for form, make in _FORMS:
        if found := form.fullmatch(rule):
            return make(found[1])
    return None


@cache
def _schema(kind: str) -> Mapping[str, Any]:
    crd = {KIND: training_crd, policy.KIND: policy_crd, comparison.KIND: comparison_crd}[kind]()
    schema: Mapping[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return schema


def _broken(schema: Mapping[str, Any], value: Any, path: str) -> Iterator[tuple[str, str]]:
    for rule in schema.get(RULES, ()):
        holds = None if is_transition(rule["rule"]) else twin(rule["rule"])
        if holds and not holds(value):
            what = path if isinstance(value, Mapping | list) else f"{path} is {value!r:.100}"
            yield path, f"{what}: {rule['message']}"
    if isinstance(value, Mapping):
        properties = schema.get("properties", {})
        for key, inner in value.items():
            yield from _broken(properties.get(key, schema.get("additionalProperties", {})), inner, f"{path}.{key}")
    elif isinstance(value, list):
        if twice := _twice(schema, value):
            yield path, f"{path} has {twice} twice, may have each only once"
        for place, inner in enumerate(value):
            yield from _broken(schema.get("items", {}), inner, f"{path}[{place}]")


def _twice(schema: Mapping[str, Any], values: Sequence[Any]) -> str:
    """Return what a list has twice that may have it once; empty where it has nothing twice."""
    match schema.get(LIST_TYPE):
        case "map":
            said = ["/".join(str(value.get(key, "")) for key in schema[LIST_KEYS]) for value in values]
        case "set":
            said = [str(value) for value in values]
        case _:
            return ""
    return next((each for place, each in enumerate(said) if each in said[:place]), "")


def _holds_value(name: str) -> Holds:
    return lambda variable: (
        variable["name"] != name or "valueFrom" in variable or not value_fault(name, variable.get("value", ""))
    )


def _limit_suffices(resources: Mapping[str, Any]) -> bool:
    from kubernetes.utils.quantity import parse_quantity

    limit = resources.get("cpuLimit")
    return limit is None or bool(parse_quantity(limit) >= parse_quantity(resources["cpu"]))


def _is_size(field: str) -> Holds:
    from kubernetes.utils.quantity import parse_quantity

    least, most = map(parse_quantity, SIZE_BOUNDS)
    return lambda value: field not in value or bool(least <= parse_quantity(value[field]) <= most)


def _exactly_one(first: str, second: str) -> Holds:
    return lambda value: (first in value) != (second in value)


def _selects_rightly(requirement: Mapping[str, Any]) -> bool:
    return (requirement["operator"] in ("In", "NotIn")) == bool(requirement.get("values"))


def _guarded(key: str) -> bool:
    return key.startswith("nnunet.dev/") or key == NAMESPACE_NAME_LABEL


def _warms_up(schedule: Mapping[str, Any]) -> bool:
    return schedule.get("learningRatePolicy") == "PolyWithWarmup"


def _in_one_arm(spec: Mapping[str, Any]) -> bool:
    named = [training for arm in spec["arms"] for training in arm.get("trainings", ())]
    return len(set(named)) == len(named)


def _planned_by_default(planning: Mapping[str, Any]) -> bool:
    return planning["planner"] == DEFAULT_PLANNER and "gpuMemoryTargetGB" not in planning


def _limits_suffice(resources: Mapping[str, Any]) -> bool:
    return all(_limit_suffices({**resources, **own}) for own in resources["configurations"].values())


def _few_fold_runs(spec: Mapping[str, Any]) -> bool:
    several = len(configurations_of(spec))
    folds = 1 if spec["trainOnAllCases"] else len(spec["folds"])
    return several == 1 or several * folds * spec["replicates"] <= MAX_FOLD_RUNS


_OF_CONFIGURATIONS: dict[str, Holds] = {
    CONFIGURATION_RULE: lambda name: name != CASCADE,
    CONFIGURATIONS_RULE: lambda names: CASCADE not in names or LOWRES in names,
    **dict(
        zip(
            (rule for rule, _ in configuration_rules()),
            (
                lambda spec: "configuration" not in spec or "configurations" not in spec,
                _few_fold_runs,
                lambda spec: len(configurations_of(spec)) == 1 or "testSet" not in spec or "selection" in spec,
                lambda spec: "selection" not in spec or not spec["trainOnAllCases"],
                lambda spec: "selection" not in spec or spec["replicates"] == 1,
                lambda spec: len(configurations_of(spec)) == 1 or "initialWeights" not in spec,
                lambda spec: "initialWeights" not in spec or _planned_by_default(spec["planning"]),
                lambda spec: set(spec["resources"]["configurations"]) <= set(configurations_of(spec)),
            ),
            strict=True,
        )
    ),
    CPU_LIMITS_RULE: _limits_suffice,
    CLAIM_RULE: lambda resources: "gpuClaimTemplateName" not in resources or resources["gpus"] >= 1,
    "self.all(x, self.exists_one(y, x.lowerAscii() == y.lowerAscii()))": (
        lambda names: len({name.lower() for name in names}) == len(names)
    ),
}


_OPERATORS, _LOADERS = (rule for rule, _ in refusal_rules())
_TWINS: dict[str, Holds] = {
    "int(self) == self": lambda value: int(value) == value,
    # training
    "!self.startsWith('/')": lambda path: not path.startswith("/"),
    "!self.split('/').exists(p, p == '..')": lambda path: ".." not in path.split("/"),
    "!has(self.data_identifier)": lambda settings: "data_identifier" not in settings,
    "self.all(x, self.exists_one(y, x == y))": lambda values: len(set(values)) == len(values),
    _OPERATORS: lambda name: name not in OPERATORS_NAMES and not name.startswith(OPERATORS_PREFIX),
    _LOADERS: lambda name: name not in LOADERS_NAMES and not name.startswith(LOADERS_PREFIXES),
    **{rule: _holds_value(name) for (rule, _), name in zip(value_rules(), VALUES, strict=True)},
    "!has(self.valueFrom) || !has(self.value) || self.value == ''": (
        lambda variable: "valueFrom" not in variable or not variable.get("value")
    ),
    "has(self.secretKeyRef) != has(self.configMapKeyRef)": _exactly_one("secretKeyRef", "configMapKeyRef"),
    "has(self.training) != has(self.claim)": _exactly_one("training", "claim"),
    "has(self.configMap) != has(self.secret)": _exactly_one("configMap", "secret"),
    ONE_VOLUME_RULE: _exactly_one("sizeLimit", "claim"),
    MEDIUM_RULE: lambda copy: "medium" not in copy or "sizeLimit" in copy,
    **{bounds_rule(field): _is_size(field) for field in ("sizeLimit", "size")},
    "!has(self.cpuLimit) || quantity(string(self.cpuLimit)).compareTo(quantity(string(self.cpu))) >= 0": (
        _limit_suffices
    ),
    "(has(self.key) && self.key != '') || (has(self.operator) && self.operator == 'Exists')": (
        lambda toleration: bool(toleration.get("key")) or toleration.get("operator") == "Exists"
    ),
    PROFILE_RULE: lambda profile: ("localhostProfile" in profile) == (profile["type"] == "Localhost"),
    JOB_ANNOTATIONS_RULE: lambda keys: not any(key.startswith(RESERVED_ANNOTATIONS) for key in keys),
    "self.trainOnAllCases == (self.folds.size() == 0)": (lambda spec: spec["trainOnAllCases"] != bool(spec["folds"])),
    f"self.folds.size() * self.replicates <= {MAX_FOLDS}": (
        lambda spec: len(spec["folds"]) * spec["replicates"] <= MAX_FOLDS
    ),
    "!has(self.leaveOneOut) || !(has(self.folds) || has(self.groupBy) || has(self.stratifyBy))": (
        lambda splits: "leaveOneOut" not in splits or not {"folds", "groupBy", "stratifyBy"} & splits.keys()
    ),
    **_OF_CONFIGURATIONS,
    "self.trainer.device == 'cpu' || self.resources.gpus >= 1": (
        lambda spec: spec["trainer"]["device"] == "cpu" or spec["resources"]["gpus"] >= 1
    ),
    "self.replicates == 1 || has(self.trainer.seed)": (
        lambda spec: spec["replicates"] == 1 or "seed" in spec["trainer"]
    ),
    "!has(self.schedule.learningRatePolicy) || self.schedule.learningRatePolicy != 'PolyWithWarmup' || "
    "self.schedule.warmupEpochs < self.schedule.epochs": (
        lambda spec: not _warms_up(spec["schedule"]) or spec["schedule"]["warmupEpochs"] < spec["schedule"]["epochs"]
    ),
    # comparison
    f"self.all(v, !({sorted(ALWAYS_EQUAL)}.exists(p, v == p || v.startsWith(p + '.'))))": (
        lambda paths: not any(is_below(path, always) for path in paths for always in ALWAYS_EQUAL)
    ),
    "(self.trainings.size() > 0) != has(self.patch)": lambda arm: bool(arm.get("trainings")) != ("patch" in arm),
    "!has(self.baseline) || self.arms.exists(a, a.name == self.baseline)": (
        lambda spec: "baseline" not in spec or spec["baseline"] in [arm["name"] for arm in spec["arms"]]
    ),
    "self.arms.all(a, a.trainings.all(t, self.arms.exists_one(b, t in b.trainings)))": _in_one_arm,
    "has(self.template) == self.arms.exists(a, has(a.patch))": (
        lambda spec: ("template" in spec) == any("patch" in arm for arm in spec["arms"])
    ),
    "!has(self.pilot) || !has(self.expectedDifferenceSD)": (
        lambda spec: "pilot" not in spec or "expectedDifferenceSD" not in spec
    ),
    "!self.suspend": lambda spec: not spec["suspend"],
    "!has(self.ttlSecondsAfterFinished)": lambda spec: "ttlSecondsAfterFinished" not in spec,
    # policy
    "has(self.namespaceSelector) || has(self.namespaces)": (
        lambda spec: "namespaceSelector" in spec or "namespaces" in spec
    ),
    "self.all(key, key.startsWith('nnunet.dev/') || key == 'kubernetes.io/metadata.name')": (
        lambda labels: all(map(_guarded, labels))
    ),
    "self.startsWith('nnunet.dev/') || self == 'kubernetes.io/metadata.name'": _guarded,
    "self.all(e, e.operator in ['In', 'NotIn'] ? has(e.values) && e.values.size() > 0 : "
    "!has(e.values) || e.values.size() == 0)": lambda expressions: all(map(_selects_rightly, expressions)),
}
"""By the text of the rule: what it says of a value."""


def _match_all(pattern: str) -> Holds:
    return lambda keys: all(re.fullmatch(pattern, key) for key in keys)


def _short_enough(most: str) -> Holds:
    return lambda keys: all(len(key) <= int(most) for key in keys)


_FORMS: tuple[tuple[re.Pattern[str], Callable[[str], Holds]], ...] = (
    (re.compile(r"self\.all\(key, key\.matches\('(.*)'\)\)"), _match_all),
    (re.compile(r"self\.all\(key, key\.size\(\) <= ([0-9]+)\)"), _short_enough),
)
"""Rules that `nnunet_api.crd` makes of patterns and lengths of keys."""
