"""The helper pod, and the Job that predicts, in namespaces with a LimitRange or a quota."""

from collections.abc import Callable
from typing import Any

import pytest

from nnunet_cli.errors import CliError
from nnunet_cli.kube.cluster import Cluster
from nnunet_cli.kube.connection import Connection
from nnunet_cli.volumes.access import NoPod, mounted
from nnunet_cli.volumes.helper import RESOURCES, Image, helper_pod
from tests.integration.cli.conftest import Site, claim
from tests.support.api import Object, wait_for

IMAGE = Image("registry.example/trainer:1")
MADE = "the helper pod did not run within 0 s: "
"""It was created. There is no node here."""
SEE_LIMITS = "have that changed: kubectl -n {namespace} describe limitranges,resourcequotas"
SEE_QUOTA = "have the quota raised, or free some of it: kubectl -n {namespace} describe resourcequotas"


def limited(**limit: Any) -> tuple[str, Object]:
    return "limitranges", {"limits": [{"type": "Container", **limit}]}


def quota(**hard: str) -> tuple[str, Object]:
    return "resourcequotas", {"hard": {name.replace("_", "."): amount for name, amount in hard.items()}}


@pytest.fixture(scope="module")
def rule(site: Site) -> Callable[[str, tuple[str, Object]], str]:
    """Make a namespace with a rule in force, and return its name."""

    def make(name: str, of: tuple[str, Object]) -> str:
        kind, spec = of
        home = site.namespace(f"limits-{name.replace(' ', '-').lower()}")
        wait_for("the service account", lambda: site.api.get("serviceaccounts", home, "default"))
        claim(site, home, "c")
        site.api.create(kind, {"metadata": {"name": "team", "namespace": home}, "spec": spec})
        trials = [helper_pod(home, "c", IMAGE, "", read_only=True, resources=one) for one in (RESOURCES[0], {})]
        wait_for("the rule to be in force", lambda: any(site.api.refusal("pods", trial) for trial in trials))
        return home

    return make


@pytest.mark.parametrize(
    ("name", "of", "asked", "says"),
    [
        ("max", limited(max={"cpu": "2", "memory": "1Gi"}), RESOURCES[1], MADE),
        ("min", limited(min={"memory": "1Gi", "cpu": "1"}), {"requests": {"cpu": "1", "memory": "1Gi"}}, MADE),
        ("ratio", limited(maxLimitRequestRatio={"cpu": "2", "memory": "1"}), RESOURCES[1], MADE),
        ("defaults", limited(default={"cpu": "1"}, max={"cpu": "1"}), RESOURCES[1], MADE),
        (
            "tiny",
            limited(max={"memory": "64Mi"}),
            {"requests": {"memory": "64Mi"}, "limits": {"memory": "64Mi"}},
            MADE,
        ),
        ("narrow", limited(max={"memory": "64Mi"}, maxLimitRequestRatio={"cpu": "2"}), None, SEE_LIMITS),
        ("of pods", ("limitranges", {"limits": [{"type": "Pod", "max": {"cpu": "100m"}}]}), None, SEE_LIMITS),
        ("limits", quota(limits_cpu="2", limits_memory="1Gi"), RESOURCES[1], MADE),
        ("no storage", quota(**{"requests_ephemeral-storage": "1Mi"}), {}, MADE),
        ("no pods", quota(**{"count/pods": "0"}), None, SEE_QUOTA),
        ("full", quota(requests_memory="64Mi"), None, SEE_QUOTA),
    ],
)
def test_the_helper_pod(
    site: Site,
    rule: Callable[[str, tuple[str, Object]], str],
    name: str,
    of: tuple[str, Object],
    asked: Object | None,
    says: str,
) -> None:
    """It asks for what the namespace allows; where that is nothing, it is said why, and who can help."""
    home = rule(name, of)
    cluster = Cluster(Connection(str(site.kubeconfig)))
    made: list[Object] = []
    create = cluster.create_pod
    cluster.create_pod = lambda *body: made.append(pod := create(*body)) or pod  # type: ignore[func-returns-value,method-assign]
    with pytest.raises(CliError) as caught, mounted(cluster, home, "c", IMAGE, read_only=True, limit_seconds=0):
        pass
    told = str(caught.value)
    assert says.format(namespace=home) in told, told
    assert isinstance(caught.value, NoPod) == (asked is None) and "takes the rights" not in told
    resources = [pod["spec"]["containers"][0]["resources"] for pod in made]
    assert resources == ([asked] if asked is not None else []), told
