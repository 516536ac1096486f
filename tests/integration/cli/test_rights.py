"""`kubectl nnunet rights` against a real API server and its own roles."""

from tests.integration.cli.conftest import Site
from tests.support.command import Command

PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "get"]}
STATUS = {"apiGroups": ["nnunet.dev"], "resources": ["nnunettrainings/status"], "verbs": ["patch"]}
READS = {
    "apiGroups": ["rbac.authorization.k8s.io"],
    "resources": ["roles", "clusterroles", "rolebindings", "clusterrolebindings"],
    "verbs": ["list"],
}


def test_who_holds_what_where(site: Site, nnunet: Command) -> None:
    home = site.namespace("rights")
    site.person("maker", home, PODS)
    site.person("forger", home, everywhere=(STATUS,))
    site.person("reader", home, everywhere=(READS,))
    site.bind(home, "ClusterRole", "edit", "Group", "staff")

    found = nnunet("rights", "-n", home, "-o", "json").data["items"]
    held = {(one["subject"]["name"], one["namespace"], one["right"]) for one in found}
    assert {
        ("maker", home, "pods"),
        ("forger", None, "training-status"),
        ("system:masters", None, "everything"),
    } <= held
    # Kubernetes' own role gives what the threat model says of it.
    staff = {right for name, _, right in held if name == "staff"}
    assert {"pods", "pods-by-jobs", "pods-by-apps", "enter-pods", "secrets", "tokens", "impersonate"} <= staff
    assert not {"policies", "training-status", "act-as-operator", "give-rights", "everything"} & staff
    assert "reader" not in {name for name, _, _ in held}

    elsewhere = nnunet("rights", "-n", "default", "-o", "json").data["items"]
    assert {one["subject"]["name"] for one in elsewhere} & {"maker", "forger", "staff"} == {"forger"}


def test_accounts_of_kubernetes_are_counted_and_shown_when_asked_for(nnunet: Command) -> None:
    short, long = nnunet("rights"), nnunet("rights", "--system")
    assert "accounts of Kubernetes itself" in short.err and "accounts of Kubernetes itself" not in long.err
    assert "kube-system/job-controller" in long.out and "kube-system/" not in short.out
    assert short.out.splitlines()[0].split() == ["NAMESPACE", "WHO", "RIGHT", "CAN", "BY"]


def test_who_may_not_read_roles_is_told(site: Site, nnunet: Command) -> None:
    config = site.person("nobody", site.namespace("rights-nobody"), PODS)
    run = nnunet("rights", "--kubeconfig", config)
    assert run.code == 3 and "can't be listed" in run.err and "Ask an administrator" in run.err
