"""The weights that a training begins with in place of random ones."""

from typing import Annotated

from pydantic import ConfigDict, Field

from nnunet_api.base import ApiModel, ClaimName, ObjectName, StatusModel, cel

WEIGHTS_FOLDER = "initial_weights"
"""In the run folder: what the operator's own image has copied there before planning."""
WEIGHTS_FILE = "checkpoint.pth"
"""In it: the checkpoint."""
CASES_FILE = "seen_cases.json"
"""In the run folder, and in that of the copies: hashes of the cases that a model has seen, and of its test cases."""
WEIGHTS_ENV = "NNUNET_RUN_WEIGHTS"
"""Environment variable of planning: `WeightsSource` as JSON, as the operator found it."""
MAX_NOT_TAKEN = 8
"""Layers that are named; the log has all."""
NNSSL = "nnssl"
"""Form of a checkpoint that nnssl has saved: an encoder, and a plan of how it begins another network."""
LONGEST_WORD = 128
"""Of what a checkpoint says of itself."""

CheckpointPath = Annotated[
    str,
    Field(
        min_length=5,
        max_length=255,
        pattern=r"^[^\x00-\x1f\x7f]*\.pth$",
        json_schema_extra=cel(
            ("!self.startsWith('/')", "must be relative to the root of the claim: remove the leading /"),
            ("!self.split('/').exists(p, p == '..')", "must not contain '..'"),
        ),
    ),
]
FoldName = Annotated[str, Field(pattern=r"^(all|[0-9]{1,2})$", max_length=3)]


class TrainingWeights(ApiModel):
    """A training of this namespace. It has to be complete; until then this one waits."""

    name: ObjectName
    """Name of the NnunetTraining."""
    fold: FoldName | None = None
    """Which of its folds: 0 to 49, or all. Default: its first. Of several replicates it is the first one's."""


class ClaimWeights(ApiModel):
    """A checkpoint of nnU-Net, or of a pretraining with nnssl, on a claim."""

    claim_name: ClaimName
    """PersistentVolumeClaim of this namespace; its policies may say which (allowedClaims)."""
    path: CheckpointPath
    """File from the root of the claim on, for example models/abdomen/fold_all/checkpoint_final.pth. Not in the folder
    of a training, which is named in its place, and not through links."""


class InitialWeights(ApiModel):
    """Where the weights come from: a training, or a file on a claim."""

    model_config = ConfigDict(
        json_schema_extra=cel(("has(self.training) != has(self.claim)", "give one of training and claim"))
    )

    training: TrainingWeights | None = None
    """The final checkpoint of a training."""
    claim: ClaimWeights | None = None
    """A file on a claim."""

    @property
    def named(self) -> str:
        """What policies call it: training/NAME or claim/NAME."""
        if self.training:
            return f"training/{self.training.name}"
        return f"claim/{self.claim.claim_name}" if self.claim else ""

    @property
    def words(self) -> str:
        """How sentences call it."""
        if self.training:
            fold = f" fold {self.training.fold}" if self.training.fold else ""
            return f"training {self.training.name}{fold}"
        return f"{self.claim.path} on claim {self.claim.claim_name}" if self.claim else ""


class WeightsSource(StatusModel):
    """Where the checkpoint lies, and what the operator knows of it."""

    claim_name: str
    """Claim on which it lies."""
    path: str
    """File, from the root of the claim."""
    sha256: str = ""
    """SHA-256 that the verification of the training found; empty where it is not known."""
    training: str | None = None
    """Name of the training."""
    uid: str | None = None
    """UID of the training."""
    fold: str | None = None
    """Fold run."""
    epochs: int | None = None
    """Epochs that its final checkpoint proves."""
    dataset_hash: str | None = None
    """SHA-256 over the names and contents of its dataset's files."""


class InitialWeightsFacts(WeightsSource):
    """What a training began with."""

    epochs_in_checkpoint: int | None = None
    """Finished epochs, by the checkpoint's own counter."""
    not_taken: Annotated[list[Annotated[str, Field(max_length=256)]], Field(max_length=MAX_NOT_TAKEN)] = []
    """Layers that begin at random: nnU-Net never takes over those that give the segmentation. Of a checkpoint of nnssl,
    parts of the network: it gives the encoder alone."""
    form: Annotated[str | None, Field(max_length=LONGEST_WORD)] = None
    """nnssl for a checkpoint in its form; absent for nnU-Net's own."""
    architecture: Annotated[str | None, Field(max_length=LONGEST_WORD)] = None
    """Network that a checkpoint of nnssl names, such as ResEncL."""
    pretrained_by: Annotated[str | None, Field(max_length=LONGEST_WORD)] = None
    """Trainer class of nnssl, which stands for the method: what the checkpoint says of itself."""
    pretrained_on: Annotated[str | None, Field(max_length=LONGEST_WORD)] = None
    """Dataset of the pretraining: what the checkpoint says of itself."""
    known_cases: bool = False
    """Whether it is known which cases it has seen: then none of them is a test case here, nor the other way round."""
