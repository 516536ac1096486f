"""Where on the claims a training may work: its run's folder, and the folder of preprocessed data that it may share."""

import hashlib
import json
import re

from nnunet_api.labels import short_name
from nnunet_api.training import NnunetTrainingSpec

CLAIMS_PATH = "/nnunet/claims"
"""In the container that prepares the folders, and nowhere else: each claim as a whole, by its part (`RAW`, ...)."""
RAW, PREPROCESSED, RESULTS, WEIGHTS = "raw", "preprocessed", "results", "weights"

MODEL_SEPARATOR = "__"
"""Between the parts of the name of a model folder; nnU-Net takes the name apart there."""

_DATE = r"(19|20)[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])"
_DIGITS = 32
"""Of a SHA-256, in hex: a maker of the same name as another's must not be found by trying."""
_OWNED = re.compile(
    rf"shared-[0-9a-f]{{{_DIGITS}}}|.+-(?!{_DATE}$)[0-9a-f]{{8}}"
    # Other names of the same folder on file systems that look at names as Windows does.
    r"|.*~[0-9].*|.*[. ]",
    re.IGNORECASE,
)
"""Names of the folders in which trainings may write: of preprocessed data, and of runs (see `run_folder`)."""
_DATASET = re.compile(r"Dataset[0-9]{3}_.*", re.IGNORECASE)


def run_folder(namespace: str, name: str, uid: str) -> str:
    """Return the run's folder inside the results claim. The UID keeps a new training off an old one's run.

    Names have up to 253 characters, and file systems take 255 with what is put before and behind.
    """
    return f"{namespace}/{short_name(name, 200)}-{run_key(uid)}"


def run_key(uid: str) -> str:
    """Return what the name of a run's folder ends with: the beginning of the UID, and never a date.

    One in 60,000 UIDs begins as a date does. Who creates trainings until there is one would have a folder that paths
    may lead through (see `owned_part`).
    """
    return f"f{uid[1:8]}" if re.fullmatch(_DATE, uid[:8]) else uid[:8]


def model_folder(trainer_class: str, plans_name: str, configuration: str) -> str:
    """Return nnU-Net's name of a model folder (get_output_folder in its utilities/file_path_utilities.py)."""
    return MODEL_SEPARATOR.join((trainer_class, plans_name, configuration))


def maker_of(spec: NnunetTrainingSpec) -> str:
    """Return a name for everything that can lead planning to other code or another result.

    That is the image, the environment and what is planned; not the dataset's content, which is in the key of each
    result. The operator's own image counts as one, whatever its version: the key has nnU-Net's version and code.
    """
    names = spec.configuration_names
    maker = {
        "image": spec.trainer.image,
        "env": [variable.model_dump(mode="json", exclude_defaults=True) for variable in spec.trainer.env],
        "dataset": spec.dataset.name,
        # Without defaults: a field that comes new changes nothing.
        "planning": spec.planning.model_dump(mode="json", exclude_defaults=True),
        # Their order changes nothing of what is planned.
        "configuration": names[0] if len(names) == 1 else sorted(names),
    }
    # Left out where there is nothing to tell, so that folders of before are found.
    if injecting := _injecting(spec):
        maker["pod"] = injecting
    elsewhere = spec.dataset.model_dump(mode="json", exclude_defaults=True, exclude={"name"})
    if spec.trainer.env and elsewhere:  # a variable may lead to code that lies beside the dataset
        maker["raw"] = elsewhere
    if spec.initial_weights:  # the plans come with them
        maker["weights"] = spec.initial_weights.model_dump(mode="json", exclude_defaults=True)
    if spec.pod_template.volumes:  # which may hold code, too
        maker["volumes"] = [one.model_dump(mode="json", exclude_defaults=True) for one in spec.pod_template.volumes]
    return f"shared-{hashlib.sha256(json.dumps(maker, sort_keys=True).encode()).hexdigest()[:_DIGITS]}"


def _injecting(spec: NnunetTrainingSpec) -> dict[str, object]:
    """Return what of a pod a webhook may go by when it puts variables, volumes or containers of somebody's into it.

    A runtime class may do as much. Where a pod runs is none of it.
    """
    pod = spec.pod_template
    named = {
        "labels": pod.labels,
        "annotations": pod.annotations,
        "job": pod.job_annotations,
        "account": pod.service_account_name,
        "runtime": pod.runtime_class_name,
    }
    return {name: value for name, value in named.items() if value}


def preprocessed_folder(spec: NnunetTrainingSpec, namespace: str) -> str:
    """Return the folder of preprocessed data on its claim, NAMESPACE/MAKER, in which planning writes.

    So trainings share it only where each of them would have made the same data by the same means. Nobody else can write
    there, and what lies there can be taken as one's own.
    """
    return f"{namespace}/{maker_of(spec)}"


def is_shared(folder: str, namespace: str) -> bool:
    """Tell whether a folder of a claim is one of `preprocessed_folder`, of this operator or of an older one."""
    return re.search(rf"(^|/){re.escape(namespace)}/shared-[0-9a-f]{{{_DIGITS}}}$", folder) is not None


def owned_part(path: str) -> str:
    """Return the first part of a path that may be the folder of a training, by its name; "" where none is.

    Whatever lies in such a folder was put there by a training's image: links, other folders, files that say whose it
    is. So no path that a user gives may lead through one, and the name alone has to tell. A date (liver-20260131) is
    none.
    """
    return next((part for part in path.split("/") if part != "." and _OWNED.fullmatch(part)), "")


def dataset_part(path: str) -> str:
    """Return the first part of a path that may be the folder of a dataset, by its name; "" where none is."""
    return next((part for part in path.split("/") if _DATASET.fullmatch(part)), "")


def inside(sub_path: str, folder: str) -> str:
    """Return a folder as seen from the root of its claim, of which the training uses `sub_path`."""
    return "/".join(part for part in (*sub_path.split("/"), *folder.split("/")) if part not in ("", "."))
