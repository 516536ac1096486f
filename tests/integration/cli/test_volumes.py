"""report, curves and dataset where the helper pod can't run: a control plane without a node."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from nnunet_cli.kube.answer import Refused
from nnunet_cli.kube.cluster import Cluster
from nnunet_cli.kube.connection import Connection
from tests.integration.cli.conftest import Site, claim
from tests.support.api import Object
from tests.support.builders import training
from tests.support.command import Command
from tests.support.made_statuses import DONE

READ = {"apiGroups": ["nnunet.dev"], "resources": ["nnunettrainings"], "verbs": ["get", "list"]}
PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "get", "delete"]}
IMAGE = ("--image", "registry.example/trainer:1")
RESTRICTED: dict[str, Any] = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def helper_pods(site: Site, namespace: str) -> list[Object]:
    labels = "app.kubernetes.io/name=nnunetctl"
    found: list[Object] = site.api.list("pods", namespace, labelSelector=labels)
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


@pytest.fixture(scope="module")
def home(site: Site) -> str:
    """A namespace under the restricted Pod Security Standard, with a training and claims without volumes."""
    home = site.namespace("volumes", **{"pod-security.kubernetes.io/enforce": "restricted"})
    site.api.create("nnunettrainings", training(home))
    done = {**DONE, "provenance": {"plansName": "nnUNetPlans"}}
    site.api.merge("nnunettrainings", home, "hippo", {"status": done}, "status")
    site.api.create("nnunettrainings", training(home, "model"))
    proven = [{**fold, "checkpointHash": "0" * 64} for fold in DONE["folds"]]
    site.api.merge("nnunettrainings", home, "model", {"status": {**done, "folds": proven}}, "status")
    site.api.create("nnunettrainings", training(home, "waits"))
    claim(site, home, "nnunet-results")
    return home


def named(site: Site, image: str) -> Iterator[None]:
    """Let the definition of trainings name the image that the operator was installed with."""
    definition = "nnunettrainings.nnunet.dev"
    note = {"metadata": {"annotations": {"nnunet.dev/trainer-image": image}}}
    site.api.merge("customresourcedefinitions", "", definition, note)
    yield
    site.api.merge("customresourcedefinitions", "", definition, {"metadata": {"annotations": None}})


@pytest.fixture
def installed(site: Site) -> Iterator[None]:
    """The definition of trainings as the chart installs it."""
    yield from named(site, "registry.example/installed:1")


@pytest.fixture
def foreign(site: Site, home: str) -> None:
    """What somebody who may train, or who has a namespace of his own, can make to have his image run with a claim."""
    labels = {"app.kubernetes.io/managed-by": "nnunet-operator", "app.kubernetes.io/name": "nnunet-operator"}
    container: dict[str, Any] = {"name": "trainer", "image": "attacker.example/x:1", "securityContext": RESTRICTED}
    container["env"] = [{"name": "NNUNET_OPERATOR_TRAINER_IMAGE", "value": "attacker.example/x:1"}]
    template: dict[str, Any] = {"spec": {"containers": [container], "restartPolicy": "Never"}}
    job = {"metadata": {"name": "newest", "namespace": home, "labels": labels}, "spec": {"template": template}}
    if site.api.get("jobs", home, "newest") is None:
        site.api.create("jobs", job)
        site.api.create("nnunettrainings", training(home, "newest", trainer={"image": "attacker.example/x:1"}))


PLACES = ("-i", "images", "-o", "out")
COMMANDS = [
    ["report", "hippo"],
    ["curves", "hippo"],
    ["export", "model"],
    ["predict", "model", *PLACES],
    ["dataset", "ls", "--claim", "nnunet-results"],
]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.usefixtures("foreign")
def test_without_an_image_it_is_asked_for(home: str, nnunet: Command, command: list[str]) -> None:
    run = nnunet(*command, "-n", home)
    assert (run.code, run.out) == (2, "") and "give one with --image or in NNUNET_IMAGE" in run.err, run.err


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.usefixtures("installed", "foreign")
def test_no_image_of_others_runs_and_it_is_said_which_one_does(home: str, nnunet: Command, command: list[str]) -> None:
    run = nnunet(*command, "-n", home, "--timeout", "1")
    assert run.code == 3 and "runs the image registry.example/installed:1\n" in run.err, run.err
    assert "attacker" not in run.err
    run = nnunet(*command, "-n", home, "--timeout", "1", "--image", "registry.example/own:2")
    assert run.code == 3 and "runs the image registry.example/own:2\n" in run.err, run.err


@pytest.mark.usefixtures("installed")
def test_who_may_not_read_the_definition_names_the_image(
    site: Site, home: str, nnunet: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = site.person("stranger", home, READ, PODS)
    run = nnunet("report", "hippo", "--kubeconfig", config)
    assert run.code == 2 and "can't be read: customresourcedefinitions" in run.err and "NNUNET_IMAGE" in run.err
    monkeypatch.setenv("NNUNET_IMAGE", "registry.example/env:1")
    run = nnunet("report", "hippo", "--timeout", "1", "--kubeconfig", config)
    assert run.code == 3 and "runs the image registry.example/env:1" in run.err, run.err


def test_a_claim_that_is_not_there(home: str, nnunet: Command) -> None:
    run = nnunet("dataset", "ls", "-n", home, *IMAGE)
    assert run.code == 3 and "there is no PersistentVolumeClaim nnunet-raw: there are nnunet-results" in run.err


def test_a_pod_that_gets_no_node_is_explained_and_deleted(site: Site, home: str, nnunet: Command) -> None:
    run = nnunet("report", "hippo", "-n", home, *IMAGE, "--timeout", "3")
    assert run.code == 3 and "the helper pod did not run within 3 s: it has no node: " in run.err, run.err
    assert helper_pods(site, home) == [] and not list(Path().iterdir())


def test_one_that_was_left_behind_is_deleted_by_the_next(site: Site, home: str, nnunet: Command) -> None:
    labels = {"app.kubernetes.io/name": "nnunetctl", "app.kubernetes.io/component": "volume-access"}
    spec = {"containers": [{"name": "volume", "image": "i", "securityContext": RESTRICTED}]}
    site.api.create("pods", {"metadata": {"name": "left", "namespace": home, "labels": labels}, "spec": spec})
    site.api.merge("pods", home, "left", {"status": {"phase": "Succeeded"}}, "status")
    nnunet("report", "hippo", "-n", home, *IMAGE, "--timeout", "1")
    assert site.api.get("pods", home, "left") is None


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ((READ, PODS), "the helper pod did not run within 1 s"),  # looks at no claims, Jobs and Events
    ],
)
def test_who_may_read_few_things(site: Site, home: str, nnunet: Command, rules: tuple[Object, ...], said: str) -> None:
    config = site.person(f"reader{len(rules)}", home, *rules)
    run = nnunet("report", "hippo", *IMAGE, "--timeout", "1", "--kubeconfig", config)
    assert run.code == 3 and said in run.err, run.err


def test_who_may_not_make_pods_gets_what_the_status_tells(site: Site, home: str, nnunet: Command) -> None:
    config = site.person("looker", home, READ)
    run = nnunet("report", "hippo", *IMAGE, "--kubeconfig", config)
    assert run.code == 0 and "can't be created: pods is forbidden" in run.err
    assert (
        "create and get pods/exec" in run.err and "made of the training's status alone. It lacks the single" in run.err
    )
    page = Path("hippo-report.html").read_text()
    assert "It lacks the single cases" in page and "0.557" in page and "grey_matter" in page
    run = nnunet("curves", "hippo", *IMAGE, "--kubeconfig", config)
    assert run.code == 3 and "can't be created: pods is forbidden" in run.err
    run = nnunet("report", "hippo", *IMAGE, "--file", "evidence.json", "--kubeconfig", config)
    assert run.code == 3 and "can't be created: pods is forbidden" in run.err
    assert nnunet("report", "hippo", "-n", home, "--from-status", "-o", "-").out == page
    run = nnunet("report", "hippo", "-n", home, "--from-status", "--file", "summary.json")
    assert run.code == 2 and "only report.html" in run.err


def test_what_was_not_verified_is_not_exported(home: str, nnunet: Command) -> None:
    run = nnunet("export", "hippo", "-n", home, *IMAGE)
    assert run.code == 1 and "the status has no SHA-256 of the final checkpoint" in run.err
    assert "helper pod" not in run.err


@pytest.mark.parametrize(
    "command", [["report"], ["curves"], ["export"], ["predict", *PLACES], ["report", "--from-status"]]
)
def test_of_a_training_that_has_not_begun_no_pod_is_made(home: str, nnunet: Command, command: list[str]) -> None:
    run = nnunet(command[0], "waits", *command[1:], "-n", home, *IMAGE)
    assert run.code == 1 and "waits has not begun yet, so it has no" in run.err and "helper pod" not in run.err


def test_the_ready_role_is_enough(site: Site, home: str, nnunet: Command) -> None:
    role = yaml.safe_load((Path(__file__).parents[3] / "manifests/samples/claim-reader.yaml").read_text())
    config = site.person("reader", home, *role["rules"])
    for command in (["report", "hippo"], ["dataset", "ls", "--claim", "nnunet-results"]):
        run = nnunet(*command, *IMAGE, "--timeout", "1", "--kubeconfig", config)
        assert run.code == 3 and "the helper pod did not run within 1 s" in run.err, run.err
    with pytest.raises(Refused, match='pods "some" not found'):
        Cluster(Connection(config)).run_in_pod(home, "some", "some", ["true"])


@pytest.mark.parametrize("command", ["report", "curves", "export"])
def test_a_training_that_is_not_there(site: Site, nnunet: Command, command: str) -> None:
    run = nnunet(command, "nobody")
    assert run.code == 3 and "there is no training nobody in namespace default" in run.err and run.out == ""
