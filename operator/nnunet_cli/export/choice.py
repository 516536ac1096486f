"""Which models of a training are exported: what its status says. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from nnunet_api.cascade import previous_stage
from nnunet_api.contract import SHA256_DIGITS
from nnunet_api.fold_key import replicate_folder
from nnunet_api.fold_status import FoldStatus
from nnunet_api.model_export import STEP_SIZE, Member, ModelExport
from nnunet_api.model_path import Models
from nnunet_api.reasons import ConditionType
from nnunet_api.results import SelectionResult
from nnunet_api.standard import TRAINER_CLASS
from nnunet_api.training import configurations_of
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.kube.watched import Watched
from nnunet_cli.text.words import listed
from nnunet_cli.volumes.runs import run_path

_UNVERIFIED = (
    ", and what was not verified is not exported. Copy the model folder from the claim as it is, which nothing vouches "
    "for, or train anew"
)
_OF_OLDER = (
    ", and not the hash of evidence.json, which has all: an older release has verified it. Another file with the same "
    "first digits can be made in hours, so they prove nothing against who can write to the claim, and what is complete "
    "is not verified again. Copy the model folder from the claim as it is, which nothing vouches for, or train anew"
)


@dataclass(frozen=True)
class Wanted:
    """What is exported, and from where."""

    export: ModelExport
    folder: str
    """nnU-Net's nnUNet_results, seen from the run's folder; empty where they are the same."""


def wanted(training: dict[str, Any], found: Watched, asked: Sequence[str], replicate: int) -> Wanted:
    """Return what to export: the configurations `asked` for, else what the training has chosen, else its only one.

    Raises CliError for a training that is not complete, and for what it does not have.
    """
    where, spec = f"{found.namespace}/{found.name}", training.get("spec") or {}
    results = found.status.results
    if results is None or not found.status.holds(ConditionType.COMPLETE):
        words = f"{where} is not complete, so it has no model that was verified and scored"
        raise CliError(f"{words}. See kubectl nnunet explain {found.name} -n {found.namespace}", ExitCode.FOUND)
    models = _models(training)
    several = [one.configuration for one in results.configurations or []]
    there = [name for name in models.configurations if not several or name in several]
    selection = results.selection
    chosen = tuple(selection.chosen) if selection and not asked else ()
    names = list(asked or chosen or (there if len(there) == 1 else ()))
    if not names:
        words = f"{where} has several configurations and has chosen none: give one with --configuration, of"
        raise CliError(f"{words} {listed(sorted(there))}", ExitCode.USAGE)
    if strange := [name for name in names if name not in there]:
        raise CliError(f"{where} has no model of {listed(strange)}: there are {listed(sorted(there))}", ExitCode.USAGE)
    replicates = int(spec.get("replicates") or 1)
    if not 1 <= replicate <= replicates:
        words = f"{where} has {replicates} replicates, counted from 1: there is no replicate {replicate}"
        raise CliError(words, ExitCode.USAGE)
    number = replicate if replicates > 1 else None
    plans = _plans_name(where, models, found)
    own = (spec.get("planning") or {}).get("configurations") or {}
    # In the spec's order, after which nnU-Net calls the folders of its choice.
    order = [str(fold) for fold in spec.get("folds") or ()]
    folds = sorted(found.status.folds, key=lambda one: order.index(one.fold) if one.fold in order else len(order))
    # Fewer do where evidence.json has the others and can be told from another, see `with_whole_hashes`.
    digits = 1 if found.status.provenance and found.status.provenance.evidence_hash else SHA256_DIGITS
    evaluation, trainer = spec.get("evaluation") or {}, spec.get("trainer") or {}
    export = ModelExport(
        dataset=models.dataset,
        chosen=tuple(_member(where, name, models, plans, own, folds, number, digits) for name in names),
        ensemble=len(chosen) > 1,
        postprocessing=_postprocessing(spec, selection) if chosen else None,
        mirroring=evaluation.get("mirroring", True) is not False,
        step_size=float(evaluation.get("stepSize", STEP_SIZE)),
        device=str(trainer.get("device", "cuda")),
    )
    return Wanted(export, replicate_folder(number))


def _postprocessing(spec: Mapping[str, Any], selection: SelectionResult | None) -> tuple[str, ...] | None:
    looked_for = (spec.get("selection") or {}).get("postprocessing", True) is True
    return tuple(selection.postprocessing) if selection and looked_for else None


def _models(training: dict[str, Any]) -> Models:
    spec = training.get("spec") or {}
    sub_path = ((spec.get("storage") or {}).get("results") or {}).get("subPath") or ""
    return Models(
        run=run_path(training, str(sub_path)),
        dataset=str((spec.get("dataset") or {}).get("name") or ""),
        trainer_class=str((spec.get("trainer") or {}).get("className") or TRAINER_CLASS),
        configurations=tuple(map(str, configurations_of(spec))),
        replicates=int(spec.get("replicates") or 1),
    )


def _plans_name(where: str, models: Models, found: Watched) -> str:
    """Return the name of the plans. The paths of models in the status of an older operator are a pod's word."""
    results, provenance = found.status.results, found.status.provenance
    told = [results.model_path, *(one.model_path for one in results.configurations or [])] if results else []
    name = models.plans_name(provenance.plans_name if provenance else None, told)
    if name is None:
        words = f"{where}: the status does not say by which plans its models were made"
        raise CliError(f"{words}, so it is not known which folders are theirs: train anew", ExitCode.FOUND)
    return name


def _member(
    where: str,
    configuration: str,
    models: Models,
    plans: str,
    own: Mapping[str, Any],
    folds: Sequence[FoldStatus],
    replicate: int | None,
    digits: int,
) -> Member:
    """Return the model of a configuration; `digits` are those that the hashes of its checkpoints have at least."""
    if configuration not in models.configurations:
        raise CliError(f"{where} has no model of {configuration}, from which a cascade has learnt", ExitCode.FOUND)
    folder = PurePosixPath(models.path(configuration, plans)).name
    if len(folder.split("__")) != 3:  # as nnU-Net takes it apart
        words = f"{where}: {folder} is no name of a model folder that nnU-Net would find again"
        raise CliError(f"{words}: it is CLASS__PLANS__CONFIGURATION, each without __", ExitCode.FOUND)
    hashes = {
        one.fold: one.checkpoint_hash or ""
        for one in folds
        if (one.configuration or configuration) == configuration and one.replicate == replicate
    }
    if unproven := {name: value for name, value in hashes.items() if len(value) < digits}:
        least = min(map(len, unproven.values()))
        has = f"{least} of {SHA256_DIGITS} digits of the SHA-256" if least else "no SHA-256"
        words = f"{where}: the status has {has} of the final checkpoint of fold {listed(list(unproven))}"
        raise CliError(f"{words} of {configuration}{_OF_OLDER if least else _UNVERIFIED}", ExitCode.FOUND)
    if not hashes:
        raise CliError(f"{where}: the status has no folds of {configuration}", ExitCode.FOUND)
    stage = previous_stage(configuration, own)
    return Member(
        configuration=configuration,
        trainer_class=models.trainer_class,
        plans=plans,
        folds=tuple(hashes),
        hashes=hashes,
        previous=_member(where, stage, models, plans, own, folds, replicate, digits) if stage else None,
    )
