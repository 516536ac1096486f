"""Configurations in nnU-Net's plans: those that a training defines, and which none can learn by. No torch in here."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nnunet_api.contract import RunContract
from nnunet_api.dataset.layout import named
from nnunet_api.plan_rules import configuration_faults
from nnunet_api.standard import PLANNERS
from nnunet_trainer.dataset.checked_plans import check_plans
from nnunet_trainer.process.failures import may_pass, one_line, wrong_configuration, wrong_data


def with_configurations(plans: dict[str, Any], extra: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the plans with the training's own configurations; one that exists already is changed where it differs.

    Each of them gets preprocessed data of its own, in a folder that is named here and never by the training.

    Raises TrainerError with WRONG_CONFIGURATION for a value that nnU-Net must not get, and for an inherits_from that
    leads nowhere or in a circle.
    """
    configurations = dict(plans["configurations"])
    for name, settings in extra.items():
        for fault in configuration_faults(settings):
            raise wrong_configuration(f"planning.configurations.{name}.{fault}")
        identifier = {"data_identifier": f"{plans['plans_name']}_{name}"}
        configurations[name] = {**configurations.get(name, {}), **_as_meant(settings), **identifier}
    for name in extra:
        seen = [name]
        while (parent := configurations[seen[-1]].get("inherits_from")) is not None:
            if parent in seen:
                raise wrong_configuration(
                    f"planning.configurations.{name} inherits from itself: {' -> '.join([*seen, parent])}"
                )
            if parent not in configurations:
                raise wrong_configuration(
                    f"planning.configurations.{seen[-1]}: inherits_from {parent} is not in the plans, which have "
                    f"{named(configurations)}"
                )
            seen.append(parent)
    merged = {**plans, "configurations": configurations}
    check_plans(merged, "plans with planning.configurations" if extra else "plans")
    return merged


def normalizes_by_names(contract: RunContract) -> bool:
    """Tell whether channels are normalized as they are called: other planners, and other plans, may do otherwise."""
    planning = contract.planning
    own = any({"normalization_schemes", "preprocessor_name"} & set(one) for one in planning.configurations.values())
    return planning.planner in PLANNERS and not own and contract.initial_weights is None


@contextlib.contextmanager
def must_be_usable(what: str) -> Iterator[None]:
    """Raise TrainerError with WRONG_CONFIGURATION for what nnU-Net can't make of a configuration within the block."""
    try:
        yield
    except (KeyError, TypeError, ValueError, RuntimeError, ImportError, AttributeError, AssertionError) as error:
        if may_pass(error):
            raise
        raise wrong_configuration(
            f"{what} can't be used: {one_line(f'{type(error).__name__}: {error}')[:800]}"
        ) from error


def unavailable(contract: RunContract, plans: Mapping[str, Any]) -> list[str]:
    """Return the configurations that the training asks for and nnU-Net does not plan for its dataset.

    A cascade whose previous stage is not planned is among those to leave out.

    Raises TrainerError with WRONG_CONFIGURATION where the training does not want to leave them out, or none is left.
    """
    planned = plans["configurations"]
    names = contract.configuration_names
    missing = [name for name in names if name not in planned]
    left_out = _with_cascades(contract, missing)
    if not missing or (contract.skip_unavailable_configurations and len(left_out) < len(names)):
        return left_out
    what, are = ("configuration", "is") if len(missing) == 1 else ("configurations", "are")
    leave = ""
    if len(left_out) < len(names):
        leave = ". To train the others alone, set skipUnavailableConfigurations: true"
    elif contract.skip_unavailable_configurations and contract.has_several:
        leave = ", so that none is left to train"
    raise wrong_configuration(
        f"{what} {', '.join(missing)} {are} not in the plans for {contract.dataset}, which have {named(planned)}"
        f"{leave}. Correct configurations, or define them under planning.configurations"
    )


def _with_cascades(contract: RunContract, missing: Sequence[str]) -> list[str]:
    """Return these and all that learn from the predictions of one of them, in the order of the training."""
    found = set(missing)
    for _ in contract.configuration_names:
        found |= {one.configuration for one in contract.by_configuration if one.previous_stage in found}
    return [name for name in contract.configuration_names if name in found]


def without(contract: RunContract, left_out: Sequence[str]) -> RunContract:
    """Return the contract without configurations that planning has left out."""
    left = contract.model_copy(update={"left_out_configurations": list(left_out)})
    return left.of_configuration(left.configuration_names[0])


def require_planes(configuration: str, patch_size: Sequence[int]) -> None:
    """Raise TrainerError with WRONG_DATA for a network that would see lines: of slices saved as (1, x, y) or (x, 1, y).

    nnU-Net takes the last axis of a file for that of its slices.
    """
    if sum(length > 1 for length in patch_size) >= 2:
        return
    raise wrong_data(
        f"the patches of configuration {configuration} are {' x '.join(map(str, patch_size))} voxels, no more than a "
        "line: the images are one voxel thick along an axis that is not that of slices. Save slices as (x, y, 1), or "
        "choose a configuration that takes volumes"
    )


def _as_meant(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a configuration as kubectl would have sent them, and as they were written before that."""
    found: dict[str, Any] = _with_nulls(_with_whole_numbers(settings))
    return found


def _with_whole_numbers(value: Any) -> Any:
    """Return a value with 4 for each 4.0.

    kubectl sends whole numbers so, other clients as they were written, and nnU-Net makes arrays of them.
    """
    if isinstance(value, dict):
        return {key: _with_whole_numbers(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_with_whole_numbers(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _with_nulls(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a configuration with the nulls that `kubectl apply` drops from a manifest.

    nnU-Net looks every name of _kw_requires_import up among the arguments and fails where `dropout_op: null` is absent.
    """
    architecture = settings.get("architecture")
    if not isinstance(architecture, dict) or not isinstance(architecture.get("arch_kwargs"), dict):
        return settings
    arguments = {**dict.fromkeys(architecture.get("_kw_requires_import", [])), **architecture["arch_kwargs"]}
    return {**settings, "architecture": {**architecture, "arch_kwargs": arguments}}
