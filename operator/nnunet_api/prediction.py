"""What a pod is told that predicts new images with models of a training: what `kubectl nnunet predict` asks for."""

from typing import Annotated

from pydantic import Field

from nnunet_api.base import ApiModel
from nnunet_api.contract import SHA256_DIGITS, PlainName

PREDICTION_ENV = "NNUNET_RUN_PREDICTION"
"""Environment variable that carries `Prediction` as JSON, beside the training's `RunContract`."""
IMAGES_PATH = "/nnunet/images"
"""Where the pod finds the images, read-only."""
SEGMENTATIONS_PATH = "/nnunet/segmentations"
"""Where it writes."""
RECORD_FILE = "nnunet_prediction.json"
"""Beside the segmentations, written last: by what they were made, and of which cases there are some."""
RESEARCH_USE = "Nobody has verified these segmentations. They are for research: no decision on a patient rests on them"


def hidden_folder(key: str) -> str:
    """Return the name of the folder beside segmentations in which lies what is not done yet."""
    return f".nnunet-predict-{key}"


Sha256 = Annotated[str, Field(pattern=rf"^[0-9a-f]{{{SHA256_DIGITS}}}$")]


class Prediction(ApiModel):
    """What is predicted with. It comes from the training's status, and from nothing that lies on a claim."""

    asked_for: Sha256
    """Hash of all that decides what comes out."""
    configurations: Annotated[list[PlainName], Field(min_length=1, max_length=2)]
    """The configuration, or both of a pair whose probabilities are averaged."""
    plans_name: PlainName
    """nnU-Net's name of the plans."""
    replicate: Annotated[int, Field(ge=1)] = 1
    """Which of several replicates, 1 = first."""
    postprocessing: list[str] = []
    """Of what the largest component is kept, as the status names it: long lists and names are cut short there."""
    checkpoints: dict[str, Sha256]
    """By the name of a fold's run: the SHA-256 of its final checkpoint that was verified. Those of the previous stages
    of a cascade are among them."""
    nnunet_version: str | None = None
    """Version of nnU-Net that the training ran with."""

    @property
    def key(self) -> str:
        """By which Job and folders are found again: eight digits that are no date (see `folders.owned_part`)."""
        return f"f{self.asked_for[:7]}"

    @property
    def work_folder(self) -> str:
        """Folder beside the segmentations in which lies what is not done yet. It is gone at the end."""
        return hidden_folder(self.key)

    def to_text(self) -> str:
        """Return the JSON that the pod gets."""
        return self.model_dump_json(by_alias=True, exclude_defaults=True)


class PredictionRecord(ApiModel):
    """The file `RECORD_FILE`."""

    asked_for: Sha256
    """`Prediction.asked_for`."""
    training: str
    """NAMESPACE/NAME."""
    uid: str
    """UID of the training."""
    configurations: list[str]
    """With which was predicted."""
    checkpoints: dict[str, Sha256]
    """`Prediction.checkpoints`."""
    postprocessing: list[str]
    """Of what the largest component was kept."""
    step_size: float
    """Distance between windows, as a part of the patch."""
    mirroring: bool
    """Whether mirrored copies were averaged."""
    device: str
    """cuda or cpu."""
    nnunet_version: str
    """Version of nnU-Net that predicted."""
    cases: list[str]
    """The cases that were segmented."""
    notice: str = RESEARCH_USE
    """What they are for."""
