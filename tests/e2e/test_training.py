"""The main job while it trains: what Prometheus, dashboards, the live view and curves tell of it."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.demo import picture
from hack.pictures.draw import View, draw
from hack.pictures.model import PATHS, Span, queries
from tests.e2e.conftest import Lab
from tests.e2e.main_training import ABOUT, FLOOR, NAME, NAMESPACE, OF, Story, watched
from tests.e2e.monitoring import EVALUATION_SECONDS, SCRAPE_SECONDS, Monitoring
from tests.support.kube import condition

STORIES = [watched]


@pytest.fixture(scope="module")
def story(lab: Lab) -> Iterator[Story]:
    """The training while both of its folds stand still, and have been watched on their way there; then it goes on."""
    yield lab.told(watched)
    lab.hold(NAME, None, NAMESPACE)


def test_prometheus_sees_it_while_it_trains(story: Story) -> None:
    """What trainers and operator tell, with the policy's floor, the rule that observes and the room on volumes."""
    story.lab.monitoring.wait_values(
        {
            f"count(nnunet_epoch{OF} >= {story.looked_at})": 2,
            f"max(nnunet_epochs_target{OF})": story.epochs,
            f"max(nnunet_policy_min_epochs{OF})": FLOOR,
            f"count(nnunet_early_stopping_epoch{OF})": 2,
            f"count(nnunet_volume_available_bytes{OF} > 0)": 2,
            f'nnunet_training_phase{{namespace="{NAMESPACE}",training="{NAME}",phase="Training"}}': 1,
            f"nnunet_training_stalled{OF}": 0,
            f"nnunet_training_epochs_target{OF}": 2 * story.epochs,
        },
    )
    up = lambda: health(story.lab.monitoring, NAMESPACE) == {"up"}  # noqa: E731
    story.lab.kube.wait("each trainer to answer", up, 60)


def test_how_long_it_waits_for_data_is_measured_and_told(story: Story) -> None:
    """With a fifth of a core the trainers augment themselves, beside a network that takes next to nothing."""
    status = story.lab.kube.status(*ABOUT)
    shares = {fold["fold"]: fold["dataWaitShare"] for fold in status["folds"]}
    assert all(0 < share < 1 for share in shares.values()) and len(shares) == 2, status["folds"]
    assert all(fold["dataWorkers"] == 0 and fold["fedEpochSeconds"] > 0 for fold in status["folds"])
    told = condition(status, "DataStarved")
    starved = [fold["fold"] for fold in status["folds"] if fold["dataStarved"]]
    used = {fold["fold"]: fold["dataWorkerUse"] for fold in status["folds"]}
    assert (told["status"] == "True") == bool(starved), told
    for fold in starved:
        assert f"fold {fold} waits {100 * shares[fold]:.0f} % of its time for data" in told["message"]
        assert ("raise spec.resources.cpu from 200m to" in told["message"]) == (used[fold] >= 0.1)
    story.lab.monitoring.wait_values({f"max(nnunet_training_data_starved{OF})": float(bool(starved))})
    for fold, share in shares.items():
        of_fold = f'{{namespace="{NAMESPACE}",training="{NAME}",fold="{fold}"}}'
        story.lab.monitoring.wait_values({f"max(nnunet_data_wait_ratio{of_fold})": share})


def test_no_query_of_a_dashboard_is_without_an_answer(story: Story) -> None:
    deadline = time.monotonic() + 60
    while silent := silent_queries(story.lab.monitoring, story.began):
        assert time.monotonic() < deadline, "waited 60 s for answers to\n" + "\n".join(silent)
        time.sleep(EVALUATION_SECONDS)


def silent_queries(seen: Monitoring, began: float) -> list[str]:
    """The dashboards' queries that have no answer now, looking back to `began` (seconds since 1970)."""
    shown, span = {"namespace": NAMESPACE, "training": NAME}, Span(began, time.time(), SCRAPE_SECONDS)
    return [
        f"{path.stem}, {query.panel}: {query.expr}"
        for path in PATHS
        for query in queries(path, shown, span)
        if not query.allowed_empty and not seen.prometheus.query(query.expr)
    ]


def health(seen: Monitoring, namespace: str) -> set[str]:
    """How the last scrapes in a namespace went."""
    return {target["health"] for target in seen.prometheus.targets() if target["labels"]["namespace"] == namespace}


def test_live_view_and_dashboards_are_drawn(story: Story, tmp_path: Path) -> None:
    """Panels from what Prometheus knows, the live view from what a person watched.

    That each dashboard can be drawn is shown in tests/integration/dashboards, that each query has an answer above: here
    it is one of them, or all where they are to be kept.
    """
    folder, seen = story.lab.pictures or tmp_path, story.lab.monitoring
    watched = picture.draw(picture.recorded_looks("".join(story.looks), NAME))
    assert "PlateauFound" in watched and "█" in watched, "no Event of the rule, or no curve"
    (folder / "live-view.svg").write_text(watched, encoding="utf-8")
    operator = story.lab.OPERATOR_NAMESPACE
    story.lab.kube.wait("the operator to answer", lambda: health(seen, operator) == {"up"}, 60)
    span = Span(story.began, time.time(), SCRAPE_SECONDS)
    paths = PATHS if story.lab.pictures else [path for path in PATHS if path.stem == "training"]
    drawn = draw(paths, View(seen.prometheus.url, span, {"namespace": NAMESPACE, "training": NAME}), folder)
    assert [picture.stem for picture in drawn] == [f"dashboard-{path.stem}" for path in paths] != []


def test_curves_while_it_trains(story: Story) -> None:
    """By whoever has no more than the documented rights; the report is not there yet, and that is said."""
    person = story.person
    history = person.data("curves", NAME)
    assert [fold["epoch"] for fold in history["folds"]] == [story.looked_at] * 2
    assert history["epochs"] == story.epochs
    for fold in history["folds"]:
        keys = ("trainingLoss", "validationLoss", "emaPseudoDice", "learningRate")
        assert {len(fold[key]) for key in keys} == {fold["epoch"]}
    person.run("curves", NAME)
    assert (person.folder / f"{NAME}-curves.png").read_bytes().startswith(b"\x89PNG")
    said = person.run("report", NAME, code=1)
    assert f"{NAME} has no report.html yet: it is written when the evaluation has ended" in said
