"""What a trainer answers over HTTP; nothing about it may end a training."""

import contextlib
import re
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from pathlib import Path

import pytest

import nnunet_trainer
from nnunet_api.facts import FACTS_PATH, FACTS_TYPE, FoldFacts, ServedFacts
from nnunet_trainer.run import serving
from nnunet_trainer.run.metrics import FoldMetrics, Metric
from nnunet_trainer.run.serving import MOST_CONNECTIONS, serve
from tests.support.api import wait_for
from tests.support.made_contracts import contract


def served(epoch: int = 7) -> ServedFacts:
    return ServedFacts(uid="5b3c", facts=FoldFacts(fold="2", epoch=epoch, epochs_target=9))


def start(facts: Callable[[], ServedFacts]) -> tuple[FoldMetrics, int]:
    metrics = FoldMetrics(contract(), "2", "nnUNetPlans")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    serve(metrics.registry, facts, port)
    return metrics, port


def ask(port: int, path: str) -> tuple[Message, bytes]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
        return answer.headers, answer.read()


def test_metrics_and_facts() -> None:
    metrics, port = start(served)
    metrics.set(Metric.EPOCH, 7)
    headers, body = ask(port, "/metrics")
    assert f'{Metric.EPOCH}{{fold="2",namespace="imaging",training="hippocampus"}} 7.0' in body.decode()
    assert headers.get_content_type() == "text/plain"
    headers, body = ask(port, FACTS_PATH)
    assert (headers.get_content_type(), ServedFacts.of(body)) == (FACTS_TYPE, served())


def test_facts_are_those_of_the_moment() -> None:
    epochs = iter((3, 4))
    _, port = start(lambda: served(next(epochs)))
    assert [ServedFacts.of(ask(port, FACTS_PATH)[1]).facts.epoch for _ in range(2)] == [3, 4]


def test_a_taken_port_is_survived(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        serve(FoldMetrics(contract(), "2", "nnUNetPlans").registry, served, taken.getsockname()[1])
    assert "no metrics and no facts" in caplog.text


def test_a_fold_alone_listens_and_takes_nothing_in() -> None:
    """Whoever may forward a port into the pod of a verification finds nothing there."""
    package = Path(nnunet_trainer.__file__).parent
    listening = re.compile(r"run\.serving import|\.listen\(|\.bind\(|HTTPServer|WSGIServer\(|start_http_server")
    # A file of the container, removed at once, at which nobody listens.
    probed = "socket.socket(socket.AF_UNIX) as probe:\n            probe.bind("
    found = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if listening.search(path.read_text().replace(probed, ""))
    }
    assert found == {"commands/train.py"}
    _, port = start(served)
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        request = urllib.request.Request(f"http://127.0.0.1:{port}{FACTS_PATH}", b"{}", method=method)
        with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(request, timeout=60) as answer:
            assert ServedFacts.of(answer.read()) == served()
    assert ServedFacts.of(ask(port, FACTS_PATH)[1]) == served()


def test_connections_that_say_nothing_fill_no_memory_and_keep_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a thread in the process that trains, and any pod of the cluster may open as many as it likes."""
    monkeypatch.setattr(serving._Quiet, "timeout", 600)  # that none ends for its silence
    before = threading.active_count()
    _, port = start(served)
    with contextlib.ExitStack() as held:
        for _ in range(4 * MOST_CONNECTIONS):
            held.enter_context(socket.create_connection(("127.0.0.1", port)))
        assert ServedFacts.of(ask(port, FACTS_PATH)[1]) == served()
        wait_for("most of them to end", lambda: threading.active_count() - before <= MOST_CONNECTIONS + 5, poll=0.01)
        for _ in range(50):
            assert ServedFacts.of(ask(port, FACTS_PATH)[1]) == served()
    wait_for("all of them to end", lambda: threading.active_count() - before <= 2, poll=0.01)
