"""Jobs of each stage, and what is in them."""

from collections.abc import Callable
from typing import Any

from nnunet_api.fold_key import FoldKey
from nnunet_operator.core.training import Training
from nnunet_operator.kube.builders.stages import evaluate_job, fold_job, plan_job, verify_job
from nnunet_operator.kube.objects import Manifest
from tests.support.made_trainings import OPTIONS

ZERO = FoldKey("3d_fullres", "0")
Build = Callable[[Training], Manifest]
BUILDERS: dict[str, Build] = {
    "plan": lambda t: plan_job(t, OPTIONS),
    "fold": lambda t: fold_job(t, OPTIONS, ZERO),
    "verify": lambda t: verify_job(t, OPTIONS),
    "evaluate": lambda t: evaluate_job(t, OPTIONS),
}


def pod(job: Manifest) -> dict[str, Any]:
    spec: dict[str, Any] = job["spec"]["template"]["spec"]
    return spec


def container(job: Manifest) -> dict[str, Any]:
    only: dict[str, Any] = pod(job)["containers"][0]
    return only


def env(job: Manifest) -> dict[str, str]:
    return {variable["name"]: variable.get("value", "") for variable in container(job)["env"]}
