"""What the operator tells the trainer and what the trainer answers: paths, the run contract, the report."""

import json
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from nnunet_api.base import ApiModel, StatusModel
from nnunet_api.cascade import next_stages, previous_stage
from nnunet_api.comparison.contract import ComparisonFacts
from nnunet_api.conditions import Time
from nnunet_api.evaluation_facts import EvaluationFacts
from nnunet_api.facts import EarlyStopFacts, Finite, FoldFacts
from nnunet_api.fold_key import MAX_TRAINED_CONFIGURATIONS, FoldKey
from nnunet_api.folders import run_folder
from nnunet_api.initial_weights import InitialWeights, InitialWeightsFacts
from nnunet_api.policy.status import AppliedPolicies
from nnunet_api.schedule import EarlyStopping, Schedule
from nnunet_api.splits import Splits
from nnunet_api.training import Device, Evaluation, NnunetTrainingSpec, Planning, Selection, TestSet

CONTRACT_ENV = "NNUNET_RUN_CONTRACT"
"""Environment variable that carries `RunContract` as JSON."""
IMAGE_ENV = "NNUNET_RUN_IMAGE"
"""Environment variable with the image of the pod as the operator asked for it."""
IMAGE_DIGEST_ENV = "NNUNET_RUN_IMAGE_DIGEST"
"""The same as the first node that pulled it for the training resolved it; not set as long as none has."""
PROVEN_ENV = "NNUNET_RUN_PROVEN"
"""JSON: by the name of a fold's run, the SHA-256 of the final checkpoint that was verified, or the beginning of it."""

RAW_PATH = "/nnunet/raw"
PREPROCESSED_PATH = "/nnunet/preprocessed"
RESULTS_PATH = "/nnunet/results"
SCRATCH_PATH = "/tmp"
COMMAND = "/opt/nnunet/bin/nnunet-trainer"
"""By its absolute path, which its first line continues with the interpreter's: nothing looks along a PATH."""
HOME_VARIABLES = {"HOME": SCRATCH_PATH, "MPLCONFIGDIR": f"{SCRATCH_PATH}/matplotlib"}
"""Variables that lead to folders of the pod's own."""
VOLUMES_PATH = "/nnunet/volumes"

METRICS_PORT = 8080
METRICS_PORT_NAME = "metrics"
CONTAINER_NAME = "trainer"
PREPARE_CONTAINER_NAME = "prepare"
"""Init container of planning, in the operator's own image: makes the folders that the training may use."""
TERMINATION_LOG = "/dev/termination-log"
TERMINATION_LOG_LIMIT = 4096
"""Bytes of a termination message that Kubernetes keeps."""

PLAIN_NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}$"
"""A name that is joined to paths, and leads nowhere else."""
PlainName = Annotated[str, Field(pattern=PLAIN_NAME)]

SHA256_DIGITS = 64
"""Hexadecimal digits of a SHA-256."""

PLAN_RESULT_FILE = "plan.json"
"""In the run folder: `PlanFacts`, by which fold and evaluation pods find the preprocessed data."""
SUMMARY_FILE = "summary.json"
"""In the run folder: `EvaluationFacts` with all classes and cases."""
SUBGROUPS_FILE = "subgroups.csv"
"""In the run folder: the Dice of subgroups of the cases, where evaluation.subgroups asks for them."""
SELECTION_FILE = "selection.json"
"""In the run folder: what was chosen among the configurations, and the scores of all candidates."""
REPORT_FILE = "report.html"
"""In the run folder: the evaluation for people."""
EVIDENCE_FILE = "evidence.json"
"""In the run folder: `EvidenceFacts`, what `verify` found in the checkpoints."""
POLICY_FILE = "policy.jsonl"
"""In the run folder: one `PolicyRecord` in JSON a line, for each decision of the policies that a pod ran under."""
PROVENANCE_FILE = "provenance.json"
"""In a fold's folder: `FoldProvenance`, the conditions under which it is trained."""


class RunContract(ApiModel):
    """Everything that a trainer pod needs to know about its run. All but `policy` is fixed while the training lives.

    An image refuses what it does not know, and a run keeps the image that it began with over upgrades of the operator.
    So a field that comes new has a default, and that is today's behaviour (see `to_text`); a default never changes.
    """

    namespace: str
    """Namespace of the training."""
    name: str
    """Name of the training."""
    uid: str
    """UID of the training."""
    dataset: str
    """nnU-Net's name of the dataset, for example Dataset004_Hippocampus."""
    planning: Planning
    """Planning and preprocessing."""
    configuration: str
    """nnU-Net configuration; of several the one that is at hand (see `of_configuration`)."""
    folds: list[str]
    """Folds in nnU-Net's spelling: a number from "0" on, or "all"."""
    schedule: Schedule
    """Length and learning rate."""
    trainer_class: str
    """Trainer class by name."""
    device: Device
    """cuda or cpu."""
    processes: Annotated[int, Field(ge=1)]
    """Worker processes that fit the pod's CPU request."""
    test_set: TestSet | None = None
    """Test set, if any."""
    early_stopping: EarlyStopping = EarlyStopping()
    """What happens on a plateau."""
    evaluation: Evaluation = Evaluation()
    """What is measured in the end."""
    seed: int | None = None
    """Seed of the first replicate, if any."""
    replicates: int = 1
    """How many times everything is trained."""
    gpus: int = 1
    """GPUs of one fold (processes that train it, on the CPU); 0 and 1 mean one process."""
    configurations: list[str] = []
    """All configurations, where there are several."""
    skip_unavailable_configurations: bool = False
    """Leave configurations out that nnU-Net does not plan for the dataset."""
    left_out_configurations: list[str] = []
    """Those that planning has left out: once it has ended, all but `policy` is known."""
    initial_weights: InitialWeights | None = None
    """What the folds begin with; none for random weights."""
    splits: Splits = Splits()
    """How the cases are split into folds, where the training says it."""
    selection: Selection | None = None
    """What is chosen among the configurations, if anything."""
    policy: AppliedPolicies | None = None
    """What the policies came to when the pod's Job was made; none where no policy is for the training."""

    def to_text(self) -> str:
        """Return the JSON that the pod gets, without what has its default: older images know it under no name."""
        # Not exclude_none: a null inside a user's configuration means something to nnU-Net.
        return json.dumps(self.model_dump(mode="json", by_alias=True, exclude_defaults=True), sort_keys=True)

    @property
    def min_epochs(self) -> int:
        """Epochs before which no early stop may act, by the policies; 0 where none asks for any."""
        return (self.policy.min_epochs if self.policy else None) or 0

    def seed_of(self, replicate: int) -> int | None:
        """Return the seed of a replicate (1 = first)."""
        return None if self.seed is None else self.seed + replicate - 1

    @property
    def has_several(self) -> bool:
        """The training has several configurations, those that planning has left out included."""
        return len(self.configurations) > 1

    @property
    def configuration_names(self) -> list[str]:
        """The configurations to train, in the order of the spec."""
        return [one for one in self.configurations or [self.configuration] if one not in self.left_out_configurations]

    def of_configuration(self, configuration: str) -> "RunContract":
        """Return the contract with this one of its configurations at hand."""
        return self.model_copy(update={"configuration": configuration})

    @property
    def by_configuration(self) -> "list[RunContract]":
        """The contract once for each configuration, with that at hand."""
        return [self.of_configuration(one) for one in self.configuration_names]

    @property
    def previous_stage(self) -> str | None:
        """The configuration from whose predictions the one at hand learns, in a cascade."""
        return previous_stage(self.configuration, self.planning.configurations)

    @property
    def next_stages(self) -> list[str]:
        """The configurations of the training that learn from the predictions of the one at hand."""
        return next_stages(self.configuration, self.configuration_names, self.planning.configurations)

    def fold_key(self, fold: str, replicate: int = 1) -> FoldKey:
        """Return the fold run of a fold and a replicate (1 = first) of the configuration at hand."""
        number = None if self.replicates == 1 else replicate
        return FoldKey(self.configuration, fold, number, of_several=self.has_several)

    def fold_keys_of(self, replicate: int) -> list[FoldKey]:
        """Return the fold runs of a replicate (1 = first) of the configuration at hand."""
        return [self.fold_key(fold, replicate) for fold in self.folds]

    @property
    def run_folder(self) -> str:
        """Folder of the run inside the results claim: NAMESPACE/NAME-UID8."""
        return run_folder(self.namespace, self.name, self.uid)


def contract_for(
    spec: NnunetTrainingSpec,
    namespace: str,
    name: str,
    uid: str,
    processes: int,
    policy: AppliedPolicies | None = None,
    left_out: Sequence[str] = (),
) -> RunContract:
    """Return the contract of a training for a pod with `processes` CPU cores; planning has `left_out` configurations.

    With several of them, an image that knows of one only refuses it.
    """
    names = spec.configuration_names
    return RunContract(
        namespace=namespace,
        name=name,
        uid=uid,
        dataset=spec.dataset.name,
        planning=spec.planning,
        configuration=names[0],
        configurations=names if len(names) > 1 else [],
        skip_unavailable_configurations=spec.skip_unavailable_configurations,
        left_out_configurations=list(left_out),
        folds=spec.fold_names,
        schedule=spec.schedule,
        trainer_class=spec.trainer.class_name,
        device=spec.trainer.device,
        processes=processes,
        test_set=spec.test_set,
        early_stopping=spec.early_stopping,
        evaluation=spec.evaluation,
        seed=spec.trainer.seed,
        replicates=spec.replicates,
        gpus=spec.resources.gpus,
        initial_weights=spec.initial_weights,
        splits=spec.splits,
        selection=spec.selection,
        policy=policy,
    )


class PolicyRecord(StatusModel):
    """A line of the audit in the run folder: under which decision of the policies a pod worked."""

    time: Time
    """When the pod began to work under it."""
    namespace: str
    """Namespace of the training."""
    name: str
    """Name of the training."""
    uid: str
    """UID of the training."""
    stage: str
    """plan, train, verify or evaluate."""
    policy: AppliedPolicies
    """The decision."""


MAX_NOTES = 440
"""Characters of notes on a dataset that planning reports."""


class PlanFacts(StatusModel):
    """Outcome of planning and preprocessing."""

    preprocessed_key: PlainName
    """Folder under the preprocessed claim that plays the part of nnUNet_preprocessed for this run."""
    plans_name: PlainName
    """nnU-Net's plans identifier, for example nnUNetPlans."""
    reused: bool
    """True where the result existed already."""
    dataset_hash: str
    """SHA-256 over the names and contents of the dataset's files."""
    plans_hash: str
    """SHA-256 of the plans file."""
    splits_hash: str
    """SHA-256 of splits_final.json."""
    nnunet_version: str
    """Version of nnunetv2."""
    torch_version: str
    """Version of torch."""
    left_out_configurations: Annotated[list[PlainName] | None, Field(max_length=MAX_TRAINED_CONFIGURATIONS)] = None
    """Configurations that were asked for and that nnU-Net does not plan for this dataset."""
    initial_weights: InitialWeightsFacts | None = None
    """What the folds begin with; absent for random weights."""
    notes: str | None = None
    """What is odd in the dataset and may be meant so: the first few, and how many more the log has."""

    def with_notes(self, notes: Sequence[str]) -> "PlanFacts":
        """Return the facts with as many notes as a status has room for."""
        told: list[str] = []
        for note in notes:
            if len("; ".join([*told, note])) > MAX_NOTES and told:
                break
            told.append(note[:MAX_NOTES])
        more = f"; and {len(notes) - len(told)} more in the log" if len(notes) > len(told) else ""
        return self.model_copy(update={"notes": "; ".join(told) + more or None})


class FoldEvidence(StatusModel):
    """What a fold's final checkpoint proves."""

    fold: str
    """Name of the fold run (`FoldKey.name`)."""
    epochs: int
    """Epochs that were trained, by the checkpoint's counter and the length of its metrics history, which agree."""
    checkpoint_hash: str
    """SHA-256 of checkpoint_final.pth; only its first digits in a report on many folds, see `is_abridged`."""
    early_stopping: EarlyStopFacts | None = None
    """The verdict of the early-stopping rule, computed anew from the metrics history in the checkpoint."""
    iterations_per_epoch: int | None = None
    """Training iterations of the epoch that had the fewest, as its trainer counted them. None where it did not."""
    highest_learning_rate: Finite = None
    """Highest learning rate of an epoch, by the metrics history."""
    trainer_class: Annotated[str | None, Field(max_length=128)] = None
    """Class that saved the checkpoint, by its own word."""
    network_weights: int | None = None
    """Numbers that the network consists of."""

    @property
    def is_abridged(self) -> bool:
        """A report on many folds had no room for more: the verdict may be missing, too. evidence.json has all."""
        return 0 < len(self.checkpoint_hash) < SHA256_DIGITS


class EvidenceFacts(StatusModel):
    """Outcome of `verify`."""

    folds: Annotated[list[FoldEvidence], Field(max_length=50)] = []
    """What each fold proves."""
    evidence_hash: Annotated[str | None, Field(max_length=SHA256_DIGITS)] = None
    """SHA-256 of evidence.json, which has what a report on many folds has no room for."""


class TerminationReport(StatusModel):
    """The termination message of a trainer pod: one line of JSON, at most 4096 bytes."""

    message: str
    """What happened, in one line; for a failure also what to do about it."""
    plan: PlanFacts | None = None
    """Set by `plan`."""
    fold: FoldFacts | None = None
    """Set by `train`."""
    evaluation: EvaluationFacts | None = None
    """Set by `evaluate`."""
    evidence: EvidenceFacts | None = None
    """Set by `verify`."""
    comparison: ComparisonFacts | None = None
    """Set by `compare`."""
