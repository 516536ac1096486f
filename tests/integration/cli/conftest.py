"""A control plane with the definitions and the admission policies, people with fewer rights, and the command line."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.localcluster import Cluster
from tests.integration.conftest import install_crds
from tests.support.api import Api, Object, wait_for
from tests.support.builders import training
from tests.support.command import Command, Run, run_main
from tests.support.control_plane import control_plane
from tests.support.zygote import Zygote

ROOT = Path(__file__).parents[3]
CLINICAL = "nnunet.dev/clinical"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
LISTS = {"apiGroups": ["nnunet.dev"], "resources": ["nnunettrainings"], "verbs": ["list"]}
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
_PLURALS = {
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}


class Site:
    """The control plane as its administrator sees it."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.kubeconfig = cluster.kubeconfig
        self.api = Api(cluster.kubeconfig)
        self._folder = folder

    def namespace(self, name: str, **labels: str) -> str:
        """Make a namespace, where there is none yet."""
        if self.api.get("namespaces", "", name) is None:
            self.api.create("namespaces", {"metadata": {"name": name, "labels": labels}})
        return name

    def policy(self, name: str, namespace: str, mode: str = "Enforce", **rules: Any) -> None:
        """Write a policy for a namespace."""
        spec = {"mode": mode, "namespaces": [namespace], "rules": rules}
        head = {"apiVersion": "nnunet.dev/v1alpha1", "kind": "NnunetTrainingPolicy", "metadata": {"name": name}}
        self.api.apply("nnunettrainingpolicies", {**head, "spec": spec})

    def person(self, name: str, home: str, *rules: Object, everywhere: tuple[Object, ...] = ()) -> str:
        """Let somebody have these rights in a namespace and those everywhere; return their kubeconfig."""
        account = {"metadata": {"name": name, "namespace": home}}
        self.api.create("serviceaccounts", account)
        subject = {"kind": "ServiceAccount", "name": name, "namespace": home}
        for kind, where, given in (("Role", f"/namespaces/{home}", rules), ("ClusterRole", "", everywhere)):
            role = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": f"{home}-{name}"}
            metadata = {"metadata": {"name": f"{home}-{name}"}}
            self.api.request("POST", f"{RBAC}{where}/{kind.lower()}s", {**metadata, "rules": list(given)})
            binding = {**metadata, "roleRef": role, "subjects": [subject]}
            self.api.request("POST", f"{RBAC}{where}/{kind.lower()}bindings", binding)
        user = f"system:serviceaccount:{home}:{name}"
        for where, given in ((home, rules), ("", everywhere)):
            for rule in given:
                wait_for(f"the rights of {name}", partial(self._may, user, where, rule))
        path = self.api.path("serviceaccounts", home, name) + "/token"
        token = self.api.request("POST", path, {"spec": {"expirationSeconds": 3600}})["status"]["token"]
        config = json.loads(self.kubeconfig.read_text())
        config["users"][0]["user"] = {"token": token}
        config["contexts"][0]["context"]["namespace"] = home
        file = self._folder / f"{home}-{name}.json"
        file.write_text(json.dumps(config))
        return str(file)

    def with_change(self, file: Path, change: Callable[[Any], None]) -> str:
        """Write the administrator's kubeconfig with a change to it; return the file's name."""
        body = json.loads(self.kubeconfig.read_text())
        change(body)
        file.write_text(json.dumps(body))
        return str(file)

    def let_list(self, purpose: str, group: str) -> str:
        """Make a namespace whose trainings a group may list; return its name."""
        home = self.namespace(purpose)
        self.api.request("POST", f"{RBAC}/namespaces/{home}/roles", {"metadata": {"name": "lists"}, "rules": [LISTS]})
        self.bind(home, "Role", "lists", "Group", group)
        asked = {"verb": "list", "group": "nnunet.dev", "resource": "nnunettrainings", "namespace": home}
        wait_for(f"the rights of {group}", lambda: self.api.may("somebody", asked, group))
        return home

    def bind(self, namespace: str, kind: str, role: str, subject: str, name: str) -> None:
        """Give a User or a Group a Role or a ClusterRole in a namespace."""
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role}
        binding = {"metadata": {"name": role}, "roleRef": reference, "subjects": [{"kind": subject, "name": name}]}
        self.api.request("POST", f"{RBAC}/namespaces/{namespace}/rolebindings", binding)

    def _may(self, user: str, namespace: str, rule: Object) -> bool:
        """Ask whether somebody has the first right of a rule: the authorizer learns of roles by watches."""
        keys = (("group", "apiGroups"), ("resource", "resources"), ("verb", "verbs"))
        asked = {key: rule[many][0] for key, many in keys} | {"namespace": namespace}
        return self.api.may(user, asked)

    def wait_enforced(self, policy: str, namespace: str) -> None:
        """Wait until admission holds trainings to a policy: it learns of it by a watch."""
        trial = training(namespace, "trial")
        in_force = lambda: f"policy {policy}" in self.api.refusal("nnunettrainings", trial)  # noqa: E731
        wait_for(f"policy {policy} to be in force", in_force)


def claim(site: Site, namespace: str, name: str) -> None:
    """Make a claim that nothing provides a volume for: it is there, and stays pending."""
    requests = {"resources": {"requests": {"storage": "1Gi"}}, "accessModes": ["ReadWriteMany"]}
    spec = {**requests, "storageClassName": "none"}
    path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
    site.api.request("POST", path, {"metadata": {"name": name}, "spec": spec})


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The control plane of these tests, taken down at the end."""
    cluster = control_plane("cli")
    cluster.up()
    try:
        site = Site(cluster, tmp_path_factory.mktemp("people"))
        install_crds(site.api)
        for document in yaml.safe_load_all((ROOT / "manifests/policies/admission.yaml").read_text()):
            site.api.request("POST", f"{ADMISSION}/{_PLURALS[document['kind']]}", document)
        wait_for_admission(site)
        yield site
    finally:
        cluster.down()


def wait_for_admission(site: Site) -> None:
    """Wait until the admission policies act: they do some time after they are there."""
    site.namespace("first")
    site.policy("first", "first", minEpochs=1000)
    site.wait_enforced("first", "first")


@pytest.fixture(scope="package")
def forks() -> Iterator[Zygote]:
    """What starts programs of the command line without their imports, which take a second."""
    running = Zygote(["nnunet_cli.app"])
    yield running
    running.close()


@pytest.fixture
def nnunet(site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Return a function that runs a command in an empty folder as the administrator, or with --kubeconfig."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Run:
        who = () if "--kubeconfig" in arguments else ("--kubeconfig", str(site.kubeconfig))
        return run_main(monkeypatch, capsys, *arguments, *who)

    return run
