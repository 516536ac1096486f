"""The command line finds the cluster, and who asks, as kubectl does: flags, exec plugins, proxies, names of servers."""

import json
import selectors
import socket
import socketserver
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from nnunet_cli.kube.answer import Refused
from nnunet_cli.kube.cluster import Cluster
from nnunet_cli.kube.connection import Connection
from tests.integration.cli.conftest import LISTS, Site
from tests.support.command import Command

ANN = ("--as", "ann", "--as-group", "others", "--as-group", "those")


@pytest.fixture(scope="module")
def home(site: Site) -> str:
    """A namespace whose trainings the group `those` may list."""
    return site.let_list("connection", "those")


def who(to: Connection) -> Any:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    return client.AuthenticationV1Api(Cluster(to)._client).create_self_subject_review(body).status.user_info


def test_flags_say_as_whom(site: Site, home: str, nnunet: Command) -> None:
    run = nnunet("list", "-n", home, *ANN)
    assert run.code == 0 and "there is no training" in run.err
    run = nnunet("list", "-n", home, *ANN[:4])
    assert run.code == 3 and 'User "ann" cannot list' in run.err
    run = nnunet("list", "-n", home, *ANN[2:])
    assert run.code == 3 and "without as" in run.err


def test_all_that_they_say_of_a_person_arrives_and_goes_before_the_file(site: Site, tmp_path: Path) -> None:
    def act(body: Any) -> None:
        body["users"][0]["user"] |= {"as": "bob", "as-groups": ["bobs"]}

    file = site.with_change(tmp_path / "config", act)
    extra = ("example.org/scope=a", "example.org/scope=b=c")
    seen = who(Connection(file, as_user="ann", as_uid="u-1", as_groups=("those",), as_user_extra=extra))
    assert (seen.username, seen.uid, seen.groups) == ("ann", "u-1", ["those", "system:authenticated"])
    assert seen.extra == {"example.org/scope": ["a", "b=c"]}
    assert who(Connection(file)).username == "bob"


def test_user_and_cluster_take_the_place_of_those_of_the_context(site: Site, home: str, nnunet: Command) -> None:
    def two(body: Any) -> None:
        body["users"].append({"name": "nobody", "user": {"token": "of nobody"}})
        body["clusters"].append({"name": "away", "cluster": {"server": "https://127.0.0.1:9"}})

    file = site.with_change(Path("config"), two)
    assert nnunet("list", "-n", home, "--kubeconfig", file).code == 0
    for flags, said in (
        (("--user", "nobody"), "Unauthorized"),
        (("--cluster", "away"), "127.0.0.1:9"),
        (("--user", "missing"), "it has no user missing"),
        (("--cluster", "missing"), "it has no cluster missing"),
        (("--context", "missing"), "its context missing is missing"),
    ):
        run = nnunet("list", "-n", home, "--kubeconfig", file, *flags)
        assert run.code == 3 and said in run.err, run.err


def test_a_request_has_the_time_that_was_given(site: Site, home: str, nnunet: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]

        def point(body: Any) -> None:
            body["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{port}"}

        run = nnunet("list", "--kubeconfig", site.with_change(Path("config"), point), "--request-timeout", "300ms")
    assert run.code == 3 and "Read timed out. (read timeout=0." in run.err
    assert nnunet("list", "-n", home, "--request-timeout", "0").code == 0
    run = nnunet("list", "--request-timeout", "soon")
    assert run.code == 2 and "'soon' is no duration" in run.err


def plugin(site: Site, folder: Path, script: str, **more: Any) -> str:
    """Return a kubeconfig whose user is told by a program beside it."""
    program = folder / "plugin"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    told = {"apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin", "interactiveMode": "Never"}

    def tell(body: Any) -> None:
        body["users"][0]["user"] = {"exec": {**told, **more}}

    return site.with_change(folder / "config", tell)


def credential(status: Any) -> str:
    body = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    return f"cat <<'EOF'\n{json.dumps(body)}\nEOF"


def test_an_exec_plugin_tells_who_it_is(site: Site, home: str, nnunet: Command, tmp_path: Path) -> None:
    site.person("told", home, LISTS)
    token = json.loads((site._folder / f"{home}-told.json").read_text())["users"][0]["user"]["token"]
    file = plugin(site, tmp_path, credential({"token": token}))
    assert who(Connection(file)).username == f"system:serviceaccount:{home}:told"
    assert nnunet("list", "-n", home, "--kubeconfig", file).code == 0
    # Or a file, which usually ends in a line break.
    (tmp_path / "token").write_text(f"{token}\n")
    filed = site.with_change(tmp_path / "filed", lambda body: body["users"][0].update(user={"tokenFile": "token"}))
    assert nnunet("list", "-n", home, "--kubeconfig", filed).code == 0


@pytest.mark.parametrize(
    ("script", "more", "said"),
    [
        ("echo log in first >&2; exit 1", {}, "gave no credentials: exec: process returned 1. log in first"),
        ("true", {"command": "./missing", "installHint": "Install\n  it."}, "./missing of its user gave no"),
        ("true", {"command": "./missing", "installHint": "Install\n  it."}, "Install it."),
        (credential({}), {}, "missing token"),
    ],
)
def test_nobody_goes_on_without_what_an_exec_plugin_tells(
    site: Site, nnunet: Command, tmp_path: Path, script: str, more: Any, said: str
) -> None:
    run = nnunet("list", "--kubeconfig", plugin(site, tmp_path, script, **more))
    assert run.code == 3 and said in run.err and "kubeconfig can't be used" in run.err
    assert run.err.count("\n") == 1, "in one line, and nothing beside it"


@pytest.mark.parametrize(("name", "code"), [("kubernetes", 0), ("elsewhere.example.org", 3)])
def test_the_server_has_to_be_the_one_that_is_named(
    site: Site, home: str, nnunet: Command, tmp_path: Path, name: str, code: int
) -> None:
    def call(body: Any) -> None:
        body["clusters"][0]["cluster"]["tls-server-name"] = name

    run = nnunet("list", "-n", home, "--kubeconfig", site.with_change(tmp_path / "config", call))
    assert run.code == code and (not code or "elsewhere.example.org" in run.err), run.err


class Tunnel(socketserver.StreamRequestHandler):
    """An HTTP proxy that knows CONNECT alone."""

    asked: list[str] = []

    def handle(self) -> None:
        line = self.rfile.readline().decode()
        while self.rfile.readline().strip():
            pass
        target = line.split()[1]
        self.asked.append(target)
        host, port = target.rsplit(":", 1)
        with socket.create_connection((host, int(port))) as far, selectors.DefaultSelector() as ready:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            ways = {self.connection: far, far: self.connection}
            for end in ways:
                ready.register(end, selectors.EVENT_READ)
            while True:
                for key, _ in ready.select():
                    end = key.fileobj
                    assert isinstance(end, socket.socket)
                    data = end.recv(65536)
                    if not data:
                        return
                    ways[end].sendall(data)


@pytest.fixture
def proxy() -> Iterator[str]:
    """The address of such a proxy."""
    Tunnel.asked.clear()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Tunnel) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_requests_and_sessions_go_through_the_proxy(
    site: Site, home: str, proxy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def go(body: Any) -> None:
        body["clusters"][0]["cluster"]["proxy-url"] = proxy

    file = site.with_change(tmp_path / "config", go)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")  # is for the proxies of the environment
    cluster = Cluster(Connection(file))
    assert cluster.trainings(home) == []
    assert len(Tunnel.asked) == 1
    with pytest.raises(Refused, match='pods "some" not found'):
        cluster.run_in_pod(home, "some", "some", ["true"])
    assert len(Tunnel.asked) == 2


def test_a_proxy_that_can_not_be_used_is_said(site: Site, nnunet: Command, tmp_path: Path) -> None:
    def go(body: Any) -> None:
        body["clusters"][0]["cluster"]["proxy-url"] = "socks5://127.0.0.1:9"

    run = nnunet("list", "--kubeconfig", site.with_change(tmp_path / "config", go))
    assert run.code == 3 and "install the Python package PySocks" in run.err
