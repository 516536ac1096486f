"""A stored NnunetTraining, parsed; and what to say of one that does not parse."""

from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from nnunet_api.bounds import MAX_READ, configurations_problem, size_problem
from nnunet_api.conditions import merge, state_condition
from nnunet_api.reasons import ConditionType, Reason
from nnunet_api.remedies.remedy import told
from nnunet_api.remedies.table import advice, phase
from nnunet_api.status import NnunetTrainingStatus, Problem
from nnunet_api.training import NnunetTrainingSpec
from nnunet_operator.core.training import Training
from nnunet_operator.kube.objects import Manifest, foreign_finalizers
from nnunet_operator.kube.trim import SPEC_SIZE

Model = TypeVar("Model", bound=BaseModel)

_SHOWN = 5
"""Problems of a spec that the message lists."""


class InvalidSpecError(Exception):
    """A stored spec does not parse; the message says in words what is wrong."""


def parse_status(body: Manifest) -> NnunetTrainingStatus:
    """Return the stored status. Raises ValueError where it does not parse: then nothing may be written."""
    try:
        return _parse(NnunetTrainingStatus, body.get("status"))
    except ValidationError as error:
        raise ValueError(f"the stored status does not parse, so it is left alone: {_words(error)}") from None


def parse_training(body: Manifest, status: NnunetTrainingStatus) -> Training:
    """Return the training. Raises InvalidSpecError."""
    metadata = body["metadata"]
    spec = parse_spec(NnunetTrainingSpec, body)
    if problem := configurations_problem(spec.planning.configurations):
        raise InvalidSpecError(problem)
    return Training(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata["generation"],
        resource_version=metadata["resourceVersion"],
        creation_timestamp=datetime.fromisoformat(metadata["creationTimestamp"].replace("Z", "+00:00")),
        spec=spec,
        status=status.of_configurations(spec.configuration_names),
        deleting=bool(metadata.get("deletionTimestamp")),
        held_by=foreign_finalizers(body),
    )


def parse_spec(model: type[Model], body: Manifest) -> Model:
    """Return the spec of an object. Raises InvalidSpecError."""
    if problem := size_problem(body.get(SPEC_SIZE, 0), MAX_READ):
        raise InvalidSpecError(problem)
    try:
        return _parse(model, body.get("spec"))
    except ValidationError as error:
        raise InvalidSpecError(_words(error)) from None


def invalid_status(before: NnunetTrainingStatus, faults: str, body: Manifest, now: datetime) -> NnunetTrainingStatus:
    """Return the status of a training whose spec does not parse. What was reported before stays.

    A training that has ended keeps its status as it is: nothing is to be done about it, and another operator may be
    able to read it.
    """
    ended = (before.condition(ConditionType.COMPLETE), before.condition(ConditionType.FAILED))
    if any(end and end.status == "True" and end.reason != Reason.INVALID_SPEC for end in ended):
        return before
    metadata, reason = body["metadata"], Reason.INVALID_SPEC
    problem = Problem(reason=reason, matter=f"the stored spec is not valid for this version of the operator: {faults}")
    message = told(problem.matter, advice(reason, problem.case, metadata["name"], metadata["namespace"]))
    known = {condition.type: condition for condition in before.conditions}
    for type_, holds in ((ConditionType.PROGRESSING, False), (ConditionType.FAILED, True)):
        known[type_.value] = state_condition(type_, holds, reason, message)
    merged = merge(before.conditions, list(known.values()), metadata["generation"], now)
    stated = {"conditions": merged, "problem": problem, "phase": phase(merged)}
    return before.model_copy(update={**stated, "observed_generation": metadata["generation"]})


def _parse(model: type[Model], body: Any) -> Model:
    return model.model_validate(body or {}, by_alias=True, by_name=False)


def _words(error: ValidationError) -> str:
    """Return pydantic's findings as field, value and problem."""
    problems = error.errors(include_url=False)
    lines = []
    for problem in problems[:_SHOWN]:
        field = "spec." + ".".join(str(part) for part in problem["loc"])
        value = "" if problem["type"] == "missing" else f" is {problem['input']!r:.100}"
        lines.append(f"{field}{value}: {problem['msg'][0].lower()}{problem['msg'][1:]}")
    if len(problems) > _SHOWN:
        lines.append(f"and {len(problems) - _SHOWN} more")
    return "; ".join(lines)
