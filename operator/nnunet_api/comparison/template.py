"""The trainings that a comparison makes from its template: one for each arm that has a patch. Pure.

What is merged here is what gets a name in the registration, what lint says of it, and what the operator creates.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from nnunet_api.bounds import MAX_SPEC, configurations_problem, size_problem, written_size
from nnunet_api.comparison.model import Arm, NnunetComparisonSpec, TrainingTemplate
from nnunet_api.labels import MAX_LABEL, short_name
from nnunet_api.training import MUTABLE_FIELDS, ONE_FORM, NnunetTrainingSpec

_SHOWN = 5
"""Problems of an arm that are listed."""
_REMEDY = "correct the file and create the comparison anew: template and patches can't change"


@dataclass(frozen=True)
class Fault:
    """What is wrong with the training of an arm."""

    arm: str
    path: str
    """Path in the training, such as spec.schedule.epochs."""
    matter: str

    def __str__(self) -> str:
        return f"arm {self.arm}: {self.path} {self.matter}"


class FaultyTemplate(ValueError):
    """Template and patch of an arm make no training."""

    def __init__(self, faults: list[Fault]) -> None:
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        super().__init__(f"{'; '.join(map(str, faults[:_SHOWN]))}{more}: {_REMEDY}")
        self.faults = faults


def made_name(comparison: str, arm: str) -> str:
    """Return the name of the training that a comparison makes for an arm: at most 63 characters, of its own for each.

    Names of arms may have letters that names of objects may not: such an arm gets a hash, as long names do.
    """
    plain = arm.lower().replace("_", "-").replace(".", "-")
    if plain == arm:
        return short_name(f"{comparison}-{arm}")
    digest = hashlib.sha256(arm.encode()).hexdigest()[:8]
    return f"{short_name(f'{comparison}-{plain}', MAX_LABEL - 9)}-{digest}"


def with_made_names(spec: NnunetComparisonSpec, comparison: str) -> NnunetComparisonSpec:
    """Return the spec with the trainings of those arms that have a patch, by their names."""
    arms = [
        arm if arm.patch is None else arm.model_copy(update={"trainings": [made_name(comparison, arm.name)]})
        for arm in spec.arms
    ]
    return spec.model_copy(update={"arms": arms})


def made_specs(spec: NnunetComparisonSpec, comparison: str) -> dict[str, NnunetTrainingSpec]:
    """Return the specs of the trainings that a comparison makes, by their names. Raises FaultyTemplate.

    Each names the comparison as the one that decides on it: its verdict may stand in the place of a policy's rules.
    """
    found, faults = {}, []
    given = {name for arm in spec.arms if arm.patch is None for name in arm.trainings}
    for arm in spec.arms:
        if arm.patch is None or spec.template is None:
            continue
        name = made_name(comparison, arm.name)
        if name in given or name in found:
            faults.append(
                Fault(arm.name, "metadata.name", f"{name} is that of another arm's, too: name the arm otherwise")
            )
        try:
            found[name] = spec_of(spec.template, arm).model_copy(update={"comparison": comparison})
        except FaultyTemplate as faulty:
            faults += faulty.faults
    if faults:
        raise FaultyTemplate(faults)
    return found


def spec_of(template: TrainingTemplate, arm: Arm) -> NnunetTrainingSpec:
    """Return the spec of an arm's training. Raises FaultyTemplate."""
    patch = arm.patch or {}
    merged = merge_patch(template.spec.to_json_dict(), patch)
    for form, other in (ONE_FORM, ONE_FORM[::-1]):
        if patch.get(form) is not None and other not in patch:
            merged.pop(other, None)  # what the patch says of it counts, in whichever form the template gives it
    try:
        # By way of JSON and strictly: as the API server will take it.
        spec = NnunetTrainingSpec.model_validate_json(json.dumps(merged), strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        raise FaultyTemplate([_fault(arm.name, each) for each in error.errors(include_url=False)]) from None
    if faults := [Fault(arm.name, path, matter) for path, matter in _not_for_templates(spec)]:
        raise FaultyTemplate(faults)
    return spec


def is_made_from(stored: NnunetTrainingSpec, wanted: NnunetTrainingSpec) -> bool:
    """Tell whether a training computes what the template says. Where and with how much it runs may have changed."""
    return not changed_fields(stored, wanted)


def changed_fields(stored: NnunetTrainingSpec, wanted: NnunetTrainingSpec) -> list[str]:
    """Return the fields, with both values, by which a training computes something else than the template says."""
    is_, should = _leaves(_computed(stored)), _leaves(_computed(wanted))
    return [
        f"{path} is {_shown(is_.get(path))} in place of {_shown(should.get(path))}"
        for path in sorted({*is_, *should})
        if is_.get(path) != should.get(path)
    ]


def _computed(spec: NnunetTrainingSpec) -> dict[str, Any]:
    left_out = (*MUTABLE_FIELDS, *ONE_FORM)
    fixed = {key: value for key, value in spec.to_json_dict().items() if key not in left_out}
    fixed["storage"]["preprocessed"].pop("localCopy", None)  # see `MUTABLE_PARTS`
    return {**fixed, "configurations": spec.configuration_names, "resources": {"gpus": spec.resources.gpus}}


def _leaves(value: Any, path: str = "spec") -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {path: value}
    return {key: leaf for name, each in value.items() for key, leaf in _leaves(each, f"{path}.{name}").items()}


def _shown(value: Any) -> str:
    return "none" if value is None else f"{json.dumps(value):.100}"


def merge_patch(target: Any, patch: Any) -> Any:
    """Return a JSON merge patch applied to a value (RFC 7386): null takes a field away, lists are replaced."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def _fault(arm: str, problem: Any) -> Fault:
    path = "spec"
    for part in problem["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    if problem["type"] == "missing":
        return Fault(arm, path, "is not set, must be given")
    if problem["type"] == "extra_forbidden":
        return Fault(arm, path, "is no field of a training (see kubectl explain nnt.spec)")
    said = problem["msg"].removeprefix("Value error, ")
    return Fault(arm, path, f"is {problem['input']!r:.100}: {said[0].lower()}{said[1:]}")


def _not_for_templates(spec: NnunetTrainingSpec) -> Iterator[tuple[str, str]]:
    """Yield what a training may have and one that is made from a template may not."""
    if spec.suspend:
        yield "spec.suspend", "is true: set spec.suspend of the comparison in its place"
    if spec.ttl_seconds_after_finished is not None:
        yield "spec.ttlSecondsAfterFinished", "is set: the training may not be gone before the comparison is over"
    if spec.comparison is not None:
        yield "spec.comparison", "is set: it is the comparison that makes it"
    for variable in spec.trainer.env:
        if variable.value_from is not None:
            yield f"spec.trainer.env ({variable.name})", _READS
    for volume in spec.pod_template.volumes:
        yield f"spec.podTemplate.volumes ({volume.name})", _READS
    if problem := size_problem(written_size(spec.to_json_dict()), MAX_SPEC):
        yield "spec", problem.removeprefix("the spec ")
    if problem := configurations_problem(spec.planning.configurations):
        yield "spec.planning.configurations", problem.removeprefix("spec.planning.configurations ")


_READS = (
    "names a Secret or ConfigMap, which a template can't, as the operator would read it for somebody who may not: "
    "create the training yourself, and name it in the arm's trainings"
)
