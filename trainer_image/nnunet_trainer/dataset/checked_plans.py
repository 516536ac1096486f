"""Plans are data: what they name is checked before nnU-Net imports, calls or joins any of it. No torch in here."""

from pathlib import Path
from typing import Any

from nnunet_api.plan_rules import plans_faults
from nnunet_trainer.process.failures import wrong_configuration
from nnunet_trainer.process.files import read_json


def check_plans(plans: Any, where: str) -> None:
    """Raise TrainerError with WRONG_CONFIGURATION for a value that nnU-Net must not get; `where` names the plans."""
    for fault in plans_faults(plans):
        raise wrong_configuration(f"{where} can't be used: {fault}")


def read_checked_plans(path: Path) -> dict[str, Any]:
    """Return the plans in a file, whoever wrote it.

    Raises TrainerError with WRONG_CONFIGURATION for a value that nnU-Net must not get, and what reading a file raises.
    """
    plans: dict[str, Any] = read_json(path)
    check_plans(plans, f"plans file {path}")
    return plans
