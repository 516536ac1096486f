"""What is asked of the pod that predicts: from the training's spec and status, and from nothing on a claim. Pure."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from nnunet_api.contract import RunContract, contract_for
from nnunet_api.prediction import Prediction
from nnunet_api.resources import Resources
from nnunet_api.standard import TRAINER_CLASS
from nnunet_api.training import Device, NnunetTrainingSpec
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.export.choice import Wanted
from nnunet_cli.kube.watched import Watched


@dataclass(frozen=True)
class Compute:
    """What the pod gets, where the command line says it: absent fields are as in the training's resources."""

    cpu_only: bool = False
    cpu: str | None = None
    memory: str | None = None


@dataclass(frozen=True)
class Model:
    """What is predicted with."""

    training: Mapping[str, Any]
    found: Watched
    chosen: Wanted
    replicate: int


@dataclass(frozen=True)
class Request:
    """A prediction that is asked for."""

    spec: NnunetTrainingSpec
    contract: RunContract
    prediction: Prediction
    resources: Resources
    """Of the training: the most that one of the networks gets."""


def spec_of(training: Mapping[str, Any]) -> NnunetTrainingSpec:
    """Return the spec of a training. Raises CliError for one that this program does not understand."""
    try:
        return NnunetTrainingSpec.model_validate(training.get("spec") or {}, by_alias=True, by_name=False)
    except ValidationError as error:
        words = f"the spec of {training['metadata']['name']} can't be read: {' '.join(str(error).split())[:300]}"
        raise CliError(
            f"{words}. Is this program older than the operator? Use one of its release", ExitCode.FOUND
        ) from None


def require_class(spec: NnunetTrainingSpec, image: str | None) -> None:
    """Raise CliError where the trainer class is in an image of the training's own and none was given.

    That image is not taken unasked: whoever made the training could choose it, and it would get the images to predict.
    """
    if image is None and spec.trainer.image and spec.trainer.class_name != TRAINER_CLASS:
        words = f"the model needs the class {spec.trainer.class_name} of the training's own image {spec.trainer.image}"
        raise CliError(f"{words}: where you trust it, give --image {spec.trainer.image}", ExitCode.USAGE)


def request_of(
    model: Model, files: Mapping[str, str], compute: Compute, image: str, source: str, target: str
) -> Request:
    """Return what is asked for. `files` has the SHA-256 of each image, and `source` and `target` say where on
    claims they are and segmentations go; empty where that is this machine.

    Raises CliError for more than one model that is no ensemble.
    """
    found, chosen = model.found, model.chosen
    where, spec, export = f"{found.namespace}/{found.name}", spec_of(model.training), chosen.export
    if len(export.chosen) > 1 and not export.ensemble:
        raise CliError("give one --configuration: each predicts by itself", ExitCode.USAGE)
    resources = spec.resources.of_all([one.configuration for one in export.members])
    contract = contract_for(
        spec,
        found.namespace,
        found.name,
        found.uid,
        processes_of(compute.cpu or resources.cpu),
        left_out=found.status.left_out_configurations or (),
    )
    if compute.cpu_only:
        contract = contract.model_copy(update={"device": Device.CPU, "gpus": 0})
    checkpoints = {
        contract.of_configuration(member.configuration).fold_key(fold, model.replicate).name: sha256
        for member in export.members
        for fold, sha256 in member.hashes.items()
    }
    provenance = found.status.provenance
    content: dict[str, Any] = {
        "configurations": [one.configuration for one in export.chosen],
        "plans_name": export.chosen[0].plans,
        "replicate": model.replicate,
        "postprocessing": list(export.postprocessing or ()),
        "checkpoints": checkpoints,
        "nnunet_version": provenance.nnunet_version if provenance else None,
    }
    decides = {
        **content,
        "uid": found.uid,
        "evaluation": [export.step_size, export.mirroring],
        "device": contract.device.value,
        "image": image,
        "files": dict(files),
        "input": source,
        "output": target,
    }
    digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()
    try:
        return Request(spec, contract, Prediction(asked_for=digest, **content), resources)
    except ValidationError as error:
        words = f"the status of {where} has no model that can be predicted with: {' '.join(str(error).split())[:300]}"
        raise CliError(words, ExitCode.FOUND) from None


def processes_of(cpu: str) -> int:
    """Return the whole cores of a quantity, at least one. Raises CliError for what is none."""
    from kubernetes.utils.quantity import parse_quantity

    try:
        return max(1, int(parse_quantity(cpu)))
    except ValueError as error:
        raise CliError(f"--cpu {cpu} is no quantity, such as 8 or 500m: {error}", ExitCode.USAGE) from None
