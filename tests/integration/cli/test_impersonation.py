"""The command line acts as whom the kubeconfig says, for each request, as kubectl does."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from nnunet_cli.kube.answer import Refused
from nnunet_cli.kube.cluster import Cluster
from nnunet_cli.kube.connection import Connection
from tests.integration.cli.conftest import Site
from tests.support.command import Command


def config(site: Site, file: Path, **user: Any) -> str:
    """Return the administrator's kubeconfig, whose user acts as somebody else."""
    given = {key.replace("_", "-"): value for key, value in user.items()}
    return site.with_change(file, lambda body: body["users"][0]["user"].update(given))


@pytest.fixture(scope="module")
def home(site: Site) -> str:
    """A namespace whose trainings the group `readers` may list."""
    return site.let_list("impersonation", "readers")


def test_who_acts_as_nobody_may_nothing(site: Site, home: str, nnunet: Command, tmp_path: Path) -> None:
    file = config(site, tmp_path / "config", **{"as": "nobody"})
    run = nnunet("list", "-n", home, "--kubeconfig", file)
    assert run.code == 3 and 'User "nobody" cannot list' in run.err
    assert subprocess.run(["kubectl", "--kubeconfig", file, "get", "nnt", "-n", home], check=False).returncode == 1


def test_each_group_counts_as_for_kubectl(site: Site, home: str, nnunet: Command, tmp_path: Path) -> None:
    extra = {"example.org/Scope": ["a", "b"]}
    user = {"as": "ann", "as_uid": "u-1", "as_groups": ["others", "readers"], "as_user_extra": extra}
    run = nnunet("list", "-n", home, "--kubeconfig", config(site, tmp_path / "config", **user))
    assert run.code == 0 and "there is no training" in run.err
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    asks = client.AuthenticationV1Api(Cluster(Connection(str(tmp_path / "config")))._client)
    seen = asks.create_self_subject_review(body).status.user_info
    assert (seen.username, seen.uid) == ("ann", "u-1")
    assert seen.groups == ["others", "readers", "system:authenticated"]
    assert seen.extra == {"example.org/scope": ["a", "b"]}


def test_a_session_in_a_pod_is_asked_for_as_the_same(site: Site, home: str, tmp_path: Path) -> None:
    cluster = Cluster(Connection(config(site, tmp_path / "config", **{"as": "nobody"})))
    with pytest.raises(Refused, match=r'User "nobody" cannot (get|create) resource "pods/exec"'):
        cluster.run_in_pod(home, "some", "some", ["true"])


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ({"as_groups": ["admins"]}, "without as"),
        ({"as": "ann", "as_groups": "admins"}, "a list of texts"),
        ({"as": "ann", "as_user_extra": {"a": "b"}}, "lists of texts"),
        ({"as": "ann\r\nImpersonate-Group: system:masters"}, "no header takes"),
        ({"as": 5}, "have to be texts"),
    ],
)
def test_what_is_no_person_is_refused(
    site: Site, nnunet: Command, tmp_path: Path, user: dict[str, Any], said: str
) -> None:
    run = nnunet("list", "--kubeconfig", config(site, tmp_path / "config", **user))
    assert run.code == 3 and said in run.err and "kubeconfig can't be used" in run.err


def test_the_first_file_says_which_context_counts(
    site: Site, nnunet: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = json.loads(site.kubeconfig.read_text())
    context = {**home["contexts"][0]["context"], "namespace": "first"}
    named = {"current-context": "one", "contexts": [{"name": "one", "context": context}]}
    away = {
        "current-context": "two",
        "contexts": [{"name": "two", "context": {**context, "cluster": "away"}}],
        "clusters": [{"name": "away", "cluster": {"server": "https://127.0.0.1:9"}}],
    }
    files = [tmp_path / name for name in ("a", "b", "c")]
    for file, body in zip(files, (named, away, {**home, "current-context": ""}), strict=True):
        file.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **body}))
    run = nnunet("list", "--kubeconfig", ":".join(map(str, files)))
    assert run.code == 0 and "namespace first" in run.err
