"""A training as Prometheus sees it, from its first epoch until it is deleted."""

import time
from pathlib import Path
from typing import Any

from tests.dashboards.draw import View, draw
from tests.dashboards.model import PATHS, Span, queries
from tests.demo import picture
from tests.e2e.builders import training
from tests.e2e.conftest import Lab
from tests.e2e.kube import Object
from tests.e2e.monitoring import SCRAPE_SECONDS, Monitoring
from tests.e2e.test_trust import PLATEAU

EPOCHS, FLOOR = 150, 40
"""Long enough for some looks while it trains: an epoch takes a third of a second."""
POLICY: Object = {
    "apiVersion": "nnunet.dev/v1alpha1",
    "kind": "NnunetTrainingPolicy",
    "metadata": {"name": "e2e-seen"},
    "spec": {"mode": "Enforce", "namespaces": ["e2e-seen"], "rules": {"minEpochs": FLOOR}},
}


def silent_queries(seen: Monitoring, namespace: str, name: str, began: float) -> list[str]:
    """The dashboards' queries that have no answer now, looking back to `began` (seconds since 1970)."""
    shown, span = {"namespace": namespace, "training": name}, Span(began, time.time(), SCRAPE_SECONDS)
    return [
        f"{path.stem}, {query.panel}: {query.expr}"
        for path in PATHS
        for query in queries(path, shown, span)
        if not query.allowed_empty and not seen.prometheus.query(query.expr)
    ]


def health(seen: Monitoring, namespace: str) -> set[str]:
    """How the last scrapes in a namespace went."""
    return {target["health"] for target in seen.prometheus.targets() if target["labels"]["namespace"] == namespace}


def test_a_training_is_seen_until_it_is_deleted(lab: Lab, pictures: Path) -> None:
    """The trainers' series end with their pods, the operator's with the object; in between the finals stay.

    While it trains, no query of a dashboard is without an answer; each panel is drawn from them, and the live view.
    """
    kube, namespace, name, seen = lab.kube, "e2e-seen", "seen", lab.monitoring
    lab.make_namespace(namespace)
    kube.apply(POLICY)
    began = time.time()
    spec: dict[str, Any] = {"folds": [0, 1], "earlyStopping": {"mode": "Observe", **PLATEAU}, "testSet": {}}
    kube.apply(training(name, namespace, epochs=EPOCHS, iterations=4, **spec))
    of = f'{{namespace="{namespace}",training="{name}"}}'

    kube.wait("an epoch", lambda: seen.value(f"max(nnunet_epoch{of}) > 0"), 240, about=(namespace, name))
    kube.wait("both folds", lambda: seen.value(f"count(nnunet_epoch{of} >= 5)") == 2, 60, about=(namespace, name))
    seen.wait_values(
        {
            f"max(nnunet_epochs_target{of})": EPOCHS,
            f"max(nnunet_policy_min_epochs{of})": FLOOR,
            f"count(nnunet_early_stopping_epoch{of})": 2,
            f"count(nnunet_volume_available_bytes{of} > 0)": 2,
            f'nnunet_training_phase{{namespace="{namespace}",training="{name}",phase="Training"}}': 1,
            f"nnunet_training_stalled{of}": 0,
            f"nnunet_training_epochs_target{of}": 2 * EPOCHS,
        },
        timeout=30,
    )
    deadline = time.monotonic() + 30
    while silent := silent_queries(seen, namespace, name, began):
        assert time.monotonic() < deadline, "waited 30 s for answers to\n" + "\n".join(silent)
        time.sleep(SCRAPE_SECONDS)
    kube.wait("each trainer to answer", lambda: health(seen, namespace) == {"up"}, 30)

    looks: list[str] = []

    def reached() -> bool:
        looks.append(kube.run("get", "nnt,events", "-n", namespace, "-o", "json"))
        return seen.value(f"min(nnunet_epoch{of}) >= 100") is not None

    kube.wait("100 epochs", reached, 240, about=(namespace, name))
    watched = picture.draw(picture.recorded_looks("".join(looks), name))
    assert "PlateauFound" in watched and "█" in watched, "no Event of the rule, or no curve"
    (pictures / "live-view.svg").write_text(watched, encoding="utf-8")
    kube.wait("the operator to answer", lambda: health(seen, lab.OPERATOR_NAMESPACE) == {"up"}, 30)
    span = Span(began, time.time(), SCRAPE_SECONDS)
    drawn = draw(PATHS, View(seen.prometheus.url, span, {"namespace": namespace, "training": name}), pictures)
    assert [picture.stem for picture in drawn] == [f"dashboard-{path.stem}" for path in PATHS]

    status = kube.wait_complete(namespace, name, timeout=300)
    kube.wait("the trainers' series to end", lambda: seen.value(f"nnunet_epoch{of}") is None, 60)
    seen.wait_values(
        {
            f"nnunet_training_proven_epochs{of}": EPOCHS,
            f"nnunet_training_required_epochs{of}": FLOOR,
            f"nnunet_training_test_dice{of}": status["results"]["testDice"]["mean"],
            f"nnunet_training_epochs{of}": 2 * EPOCHS,
        }
    )
    assert seen.wait_value(f"nnunet_training_held_gpu_seconds{of}") > 0
    assert not [alert for alert in seen.prometheus.alerts() if alert["labels"].get("training") == name]

    kube.run("delete", "nnt", name, "-n", namespace)
    kube.run("delete", "nntp", POLICY["metadata"]["name"])
    kube.wait("all series to end", lambda: seen.value(f'{{namespace="{namespace}",training="{name}"}}') is None, 60)
