"""The main job, told as one training: a dataset is sent, a training applied, and watched while it trains.

What is seen of it meanwhile is in test_training.py, what there is when it is complete in test_training_end.py."""

import time
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.conftest import Lab
from tests.e2e.person import Person, make_person
from tests.support.kube import Object, condition
from tests.support.small_training import PLATEAU, training

NAMESPACE, NAME, SIBLING = "e2e-main", "scored", "sibling"
ABOUT = NAMESPACE, NAME
DATASET = "Dataset511_Main"
FLOOR = 10
LOOK_SECONDS = 1
"""Time between two looks: a kubectl each, while the operator hears of progress every 2 s."""
POLICY: Object = {
    "apiVersion": "nnunet.dev/v1alpha1",
    "kind": "NnunetTrainingPolicy",
    "metadata": {"name": "e2e-main"},
    "spec": {"mode": "Enforce", "namespaces": [NAMESPACE], "rules": {"minEpochs": FLOOR}},
}
OF = f'{{namespace="{NAMESPACE}",training="{NAME}"}}'


@dataclass
class Story:
    """The training, who looks at it, and what was seen of it until it stood still."""

    lab: Lab
    person: Person
    epochs: int
    began: float
    looked_at: int = 0
    """How many epochs both folds have finished while it stands still."""
    looks: list[str] = field(default_factory=list)
    sibling: Object = field(default_factory=dict)
    """The status of another training that is planned alike, when it was."""

    def watch(self, epochs: int) -> None:
        """Record what a person would watch until both folds have finished so many epochs."""

        def there() -> bool:
            self.looks.append(self.lab.kube.run("get", "nnt,events", "-n", NAMESPACE, "-o", "json"))
            folds = self.lab.kube.status(*ABOUT).get("folds", [])
            reached = len(folds) == 2 and all(fold.get("epoch", 0) >= epochs for fold in folds)
            if not reached:
                time.sleep(LOOK_SECONDS)
            return reached

        self.lab.kube.wait(f"{epochs} epochs of both folds", there, timeout=500, about=ABOUT)
        self.looked_at = epochs

    def plan_another(self, body: Object) -> None:
        """Let another training be planned, and no more."""
        kube = self.lab.kube
        about = NAMESPACE, body["metadata"]["name"]
        kube.apply(body)

        def planned() -> Object | None:
            status = kube.status(*about)
            return status if condition(status, "DatasetReady").get("status") == "True" else None

        self.sibling = kube.wait("the other training to be planned", planned, timeout=500, about=about)
        self.lab.drop(about[1], NAMESPACE)


def watched(lab: Lab) -> Story:
    """Send the dataset, apply the training and watch it until both of its folds stand still."""
    lab.make_namespace(NAMESPACE)
    lab.kube.apply(POLICY)
    person = make_person(lab, NAMESPACE, lab.new_folder("person"), DATASET)
    person.run("dataset", "push", DATASET)
    # For the docs it trains as long as a curve needs to look like one.
    epochs, stops = (150, [100]) if lab.pictures else (15, [2, 4, 6])
    observed = {"mode": "Observe", **PLATEAU}
    both = {"dataset": {"name": DATASET}, "testSet": {}}
    spec: dict[str, Any] = {"epochs": epochs, "folds": [0, 1], "earlyStopping": observed, **both}
    told = Story(lab, person, epochs, time.time())
    lab.kube.apply(lab.held_training(NAME, NAMESPACE, before=stops[0] + 1, **spec))
    lab.kube.wait("the first Job", lambda: lab.kube.jobs(*ABOUT), timeout=180, about=ABOUT)
    # nnU-Net's own class, by the same image and in the same environment: what both need is made once.
    trainer = {
        "device": "cpu",
        "image": lab.references["dishonest"],
        "env": [{"name": "HOLD_BEFORE_EPOCH", "value": str(stops[0] + 1)}],
    }
    sibling = training(SIBLING, NAMESPACE, epochs=FLOOR, trainer=trainer)
    told.plan_another({**sibling, "spec": sibling["spec"] | both})
    told.watch(stops[0])
    for stop in stops[1:]:
        lab.hold(NAME, stop + 1, NAMESPACE)
        told.watch(stop)
    return told
