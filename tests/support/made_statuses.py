"""Trainings as they are read, and how they look on a terminal."""

import io
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, RenderableType

from nnunet_api.status import NnunetTrainingStatus
from nnunet_cli.kube.watched import Event, Watched

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def condition(type_: str, reason: str, message: str, status: str = "True") -> dict[str, Any]:
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-03-01T11:59:00Z",
    }


def fold(name: str, **changes: Any) -> dict[str, Any]:
    return {"fold": name, "phase": "Running", "epoch": 10, "epochsTarget": 40, **changes}


def watched(events: tuple[Event, ...] = (), **status: Any) -> Watched:
    return Watched(
        namespace="nnunet-demo",
        name="brain",
        configuration="3d_tiny",
        dataset="Dataset501_MNI",
        status=NnunetTrainingStatus.model_validate(status),
        events=events,
    )


def rendered(renderable: RenderableType, width: int = 110) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(renderable)
    output = console.file
    assert isinstance(output, io.StringIO)
    return output.getvalue()


TRAINING: dict[str, Any] = {
    "phase": "Training",
    "startTime": "2026-03-01T11:58:30Z",
    "conditions": [condition("Progressing", "Training", "folds 0 and 1 train")],
    "progress": {"epoch": 22, "epochsTarget": 80, "summary": "22/80", "estimatedSecondsLeft": 65},
    "folds": [
        fold(
            "0",
            epoch=12,
            emaPseudoDice=0.4321,
            trainingLoss=-0.3123,
            validationLoss=-0.2514,
            learningRate=0.00732,
            epochSeconds=2.0,
        ),
        fold("1", phase="Starting", epoch=0),
    ],
}


DONE: dict[str, Any] = {
    "phase": "Completed",
    "startTime": "2026-03-01T11:57:00Z",
    "completionTime": "2026-03-01T12:00:00Z",
    "conditions": [condition("Complete", "TrainingComplete", "all done")],
    "folds": [
        fold("0", phase="Completed", epoch=40, attempts=1, meanValidationDice=0.6234),
        fold("1", phase="Completed", epoch=40, attempts=3, lostEpochs=2, meanValidationDice=0.5812),
    ],
    "results": {
        "meanValidationDice": 0.6023,
        "testDice": {"mean": 0.5571, "cases": 3, "perClass": {"grey_matter": 0.6, "white_matter": 0.5142}},
        "modelPath": "nnunet-demo/brain-1a2b3c4d/Dataset501_MNI/nnUNetTrainer__nnUNetPlans__3d_tiny",
    },
}


def training_body(spec: Any = None, **metadata: Any) -> dict[str, Any]:
    head = {"namespace": "clinic", "name": "hippo", "uid": "12345678-aaaa", **metadata}
    return {"metadata": head, "spec": spec or {}}
