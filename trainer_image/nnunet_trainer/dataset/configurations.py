"""Configurations that a training defines, put into nnU-Net's plans. No torch in here."""

from typing import Any

from nnunet_api.dataset.layout import named
from nnunet_api.plan_rules import configuration_faults
from nnunet_trainer.dataset.checked_plans import check_plans
from nnunet_trainer.process.failures import wrong_configuration


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
        configurations[name] = {**configurations.get(name, {}), **_with_nulls(settings), **identifier}
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


def _with_nulls(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a configuration with the nulls that `kubectl apply` drops from a manifest.

    nnU-Net looks every name of _kw_requires_import up among the arguments and fails where `dropout_op: null` is absent.
    """
    architecture = settings.get("architecture")
    if not isinstance(architecture, dict) or not isinstance(architecture.get("arch_kwargs"), dict):
        return settings
    arguments = {**dict.fromkeys(architecture.get("_kw_requires_import", [])), **architecture["arch_kwargs"]}
    return {**settings, "architecture": {**architecture, "arch_kwargs": arguments}}
