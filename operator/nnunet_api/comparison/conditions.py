"""Whether trainings were made and scored under the same conditions. Pure: what is known of each, by path.

Values are compared arm by arm: a path has in each arm the set of values that its trainings have.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnunet_api.status import Provenance
from nnunet_api.training import NnunetTrainingSpec

Conditions = Mapping[str, Any]
"""What is known of one training, by path: schedule.epochs -> 250."""

UNKNOWN = "unknown"
ALWAYS_EQUAL = frozenset(
    {
        "dataset",
        "datasetHash",
        "splits",
        "splitsHash",
        "folds",
        "labels",
        "patients",
        "testSet",
        "metric",
        "inference",
        "evaluation",
    }
)
"""Paths, with all below them, that no comparison may let differ: what was learnt from, and how it was scored."""
MAY_MIX = frozenset({"trainer.seed", "device"})
"""Paths that may have several values in one arm: the set of them is what counts."""
NEVER_MIXED = frozenset({"trainer.image"})
"""Paths that may have one value alone in a training: a tag that was moved on its way has trained two things."""
EXPLAINED_BY: Mapping[str, tuple[str, ...]] = {
    "plansHash": ("planning", "configuration", "trainer.image", "initialWeights"),
    "batchSize": ("planning", "configuration", "trainer.className", "trainer.image", "plansHash", "initialWeights"),
    "patchSize": ("planning", "configuration", "trainer.className", "trainer.image", "plansHash", "initialWeights"),
    "initialWeightsHash": ("initialWeights",),
    "mirrorAxes": ("configuration", "trainer.className", "trainer.image"),
    "hyperparameters": ("trainer.className", "trainer.image"),
    "hyperparameters.num_epochs": ("schedule.epochs",),
    "hyperparameters.num_iterations_per_epoch": ("schedule.iterationsPerEpoch",),
    "hyperparameters.num_val_iterations_per_epoch": ("schedule.validationIterationsPerEpoch",),
    "hyperparameters.initial_lr": ("schedule.initialLearningRate",),
    "nnunetVersion": ("trainer.image",),
    "torchVersion": ("trainer.image",),
    "cudaVersion": ("trainer.image",),
    "device": ("trainer.device",),
    "environment": ("trainer.env", "trainer.image"),
}
"""Paths that follow from others: where one of those is named, they may differ with it."""
_OWN_ENVIRONMENT = frozenset(
    {"nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results", "nnUNet_n_proc_DA", "nnUNet_def_n_proc"}
)
"""Variables in provenance.json that say where a run is and how many processes it has: no condition of the result."""
_OPTIONAL = (
    *("trainer.env", "environment", "planning.configurations", "podTemplate.volumes"),
    *("initialWeights", "initialWeightsHash"),
)
"""What is not there below these is not set."""
_VERSIONS = ("nnunetVersion", "torchVersion", "cudaVersion", "device")
_SHOWN = 80
"""Characters of a value in a sentence."""


@dataclass(frozen=True)
class Known:
    """What is known of one training, or of one part of it."""

    arm: str
    training: str
    conditions: Conditions


@dataclass(frozen=True)
class Difference:
    """What keeps arms from being compared."""

    path: str
    matter: str
    """What differs, then what mends it, then the values: reports cut the end, and arms and values may be long."""

    def __str__(self) -> str:
        return f"{self.path}: {self.matter}"


def of_spec(spec: NnunetTrainingSpec) -> dict[str, Any]:
    """Return what the spec of a training says of its conditions. The image is what a node has pulled, and not here."""
    body = spec.model_dump(mode="json", by_alias=True)  # with what is not set: none is a value, too
    trainer = body["trainer"]
    seeds = [None] if spec.trainer.seed is None else [spec.trainer.seed + number for number in range(spec.replicates)]
    return {
        "dataset.name": spec.dataset.name,
        "folds": spec.fold_names,
        **dict(flat("splits", body["splits"])),
        **(dict(flat("testSet", body["testSet"])) if spec.test_set else {"testSet": "none"}),
        "evaluation.surfaceToleranceMm": spec.evaluation.surface_tolerance_mm,
        "evaluation.mirroring": spec.evaluation.mirroring,
        "evaluation.stepSize": spec.evaluation.step_size,
        **dict(flat("planning", {key: value for key, value in body["planning"].items() if key != "configurations"})),
        **{f"planning.configurations.{key}": value for key, value in body["planning"]["configurations"].items()},
        "configuration": _one_or_several(spec.configuration_names),
        **(dict(flat("initialWeights", spec.initial_weights.to_json_dict())) if spec.initial_weights else {}),
        **dict(flat("schedule", body["schedule"])),
        **dict(flat("earlyStopping", body["earlyStopping"])),
        "trainer.className": trainer["className"],
        "trainer.device": trainer["device"],
        "trainer.seed": Several(seeds),
        **{f"trainer.env.{one['name']}": one.get("valueFrom") or one["value"] for one in trainer["env"]},
        # They may hold code that is trained with.
        **{f"podTemplate.volumes.{one['name']}": one for one in body["podTemplate"]["volumes"]},
        "resources.gpus": spec.resources.gpus,
    }


def _one_or_several(names: Sequence[str]) -> Any:
    return names[0] if len(names) == 1 else list(names)


def of_provenance(provenance: Provenance) -> dict[str, Any]:
    """Return what the status of a training that is complete says of its conditions."""
    found = {
        "datasetHash": provenance.dataset_hash,
        "splitsHash": provenance.splits_hash,
        "plansHash": provenance.plans_hash,
        "trainer.image": _image(provenance),
        "nnunetVersion": provenance.nnunet_version,
        "torchVersion": provenance.torch_version,
        "cudaVersion": provenance.cuda_version,
    }
    return {path: value for path, value in found.items() if value is not None}


def _image(provenance: Provenance) -> Any:
    # By its digest alone: the same image may come from another registry.
    all_of = (provenance.image_digest or provenance.image or "", *(provenance.other_image_digests or ()))
    digests = list(dict.fromkeys(one.rpartition("@")[2] for one in all_of))
    return Several(digests) if len(digests) > 1 else digests[0] or None


def of_fold(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return what provenance.json of a fold says of its conditions. Raises KeyError, TypeError or AttributeError."""
    stated = dict(content["conditions"])
    for own in ("fold", "seed", "dataset", "configuration", "trainerClass", "schedule", "earlyStopping", "gpus"):
        stated.pop(own, None)  # in the spec
    found = {path: value for key, value in stated.items() for path, value in flat(key, value)}
    for name, value in (content.get("environment") or {}).items():
        if name not in _OWN_ENVIRONMENT:
            found[f"environment.{name}"] = value
    attempts = content.get("software") or [content]
    for key in _VERSIONS:
        found[key] = Several([value for one in attempts if (value := one.get(key)) is not None])
    return found


@dataclass(frozen=True)
class Several:
    """Several values of one path."""

    values: Sequence[Any]


def flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield a value by its path, an object field by field."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from flat(f"{path}.{key}", inner)
    else:
        yield path, value


def differences(known: Sequence[Known], varies: Iterable[str], required: Iterable[str] = ()) -> list[Difference]:
    """Return what differs although it must not, by path. The `required` paths have to be known of all."""
    named = list(varies)
    paths = sorted({path for one in known for path in one.conditions} | set(required))
    return [found for path in paths if (found := _difference(path, known, named, path in set(required)))]


def unfounded(known: Sequence[Known], varies: Iterable[str], last: bool) -> list[Difference]:
    """Return the names of what is to differ and does not. What nothing is known of yet counts only at the `last`."""
    return [found for name in varies if (found := _unfounded(name, known, last))]


def founded(known: Sequence[Known], varies: Iterable[str]) -> list[str]:
    """Return the names of what is to differ and does."""
    return [name for name in varies if any(_differs(path, known) for path in _below(name, known))]


def _unfounded(name: str, known: Sequence[Known], last: bool) -> Difference | None:
    paths = _below(name, known)
    if not paths:
        matter = "is named in spec.varies, and nothing of that name is known: correct the name"
        return Difference(name, matter) if last else None
    if any(_differs(path, known) for path in paths):
        return None
    value = f" ({_values(paths[0], known)[known[0].arm]} in all arms)" if len(paths) == 1 else ""
    return Difference(name, f"is named in spec.varies, and does not differ: leave it out, or correct the arms{value}")


def _below(name: str, known: Sequence[Known]) -> list[str]:
    return sorted({path for one in known for path in one.conditions if is_below(path, name)})


def is_below(path: str, name: str) -> bool:
    """Tell whether a path is that of a name, or inside it. Users may name either form of spec.configurations."""
    name = "configuration" if name == "configurations" else name
    return path == name or path.startswith(f"{name}.")


def _difference(path: str, known: Sequence[Known], named: Sequence[str], required: bool) -> Difference | None:
    values = _values(path, known)
    if required and any(UNKNOWN in value.split(", ") for value in values.values()):
        told = "; ".join(f"{arm}: {value}" for arm, value in values.items())
        matter = f"is not known of all: train and evaluate anew with this version's image ({told})"
        return Difference(path, matter)
    if path in NEVER_MIXED and not _may_differ(path, named):
        mixed = next((one for one in known if isinstance(one.conditions.get(path), Several)), None)
        if mixed:
            matter = f"is not the same in all pods: train with a digest ({mixed.training}: {_text(path, mixed)})"
            return Difference(path, matter)
    if path not in MAY_MIX:
        for arm in values:
            inside = {one.training: _text(path, one) for one in known if one.arm == arm}
            if len(set(inside.values())) > 1:
                told = ", ".join(f"{training}: {value}" for training, value in inside.items())
                return Difference(path, f"differs inside arm {arm} ({told})")
    if not _differs(path, known) or _may_differ(path, named):
        return None
    return Difference(path, "; ".join(f"{arm}: {value}" for arm, value in values.items()))


def _differs(path: str, known: Sequence[Known]) -> bool:
    return len(set(_full_values(path, known).values())) > 1


def _may_differ(path: str, named: Sequence[str]) -> bool:
    if any(is_below(path, always) for always in ALWAYS_EQUAL):
        return False
    causes = [cause for root, names in EXPLAINED_BY.items() if is_below(path, root) for cause in names]
    return any(is_below(path, name) or any(is_below(c, name) or is_below(name, c) for c in causes) for name in named)


def _full_values(path: str, known: Sequence[Known]) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {}
    for one in known:
        value = one.conditions.get(path)
        values = value.values if isinstance(value, Several) else [value]
        found.setdefault(one.arm, set()).update(_whole(each, _is_known(path, one)) for each in values)
    return {arm: tuple(sorted(texts)) for arm, texts in found.items()}


def _values(path: str, known: Sequence[Known]) -> dict[str, str]:
    """Return the values of a path by arm, in words."""
    return {arm: _cut(", ".join(texts) or UNKNOWN) for arm, texts in _full_values(path, known).items()}


def _text(path: str, one: Known) -> str:
    value = one.conditions.get(path)
    values = value.values if isinstance(value, Several) else [value]
    return _cut(", ".join(sorted({_whole(each, _is_known(path, one)) for each in values})))


def _is_known(path: str, one: Known) -> bool:
    return path in one.conditions or any(is_below(path, root) for root in _OPTIONAL)


def _whole(value: Any, is_known: bool) -> str:
    if value is None:
        return "none" if is_known else UNKNOWN
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 4]} ..."
