"""The chart's NetworkPolicies as kube-router enforces them: real connections between network namespaces."""

import json
import os
import subprocess
import sys

import pytest

from hack.prepare.helm import ROOT
from hack.prepare.router import kube_router
from tests.integration.network.trial import METRICS, OPERATOR_METRICS
from tests.integration.network.wires import NODE, Way

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    pytest.mark.timeout(900),  # kube-router is built the first time
]
SHUT = ("fold", "plan", "operator", "helper")
"""Pods that a policy selects."""
LET_IN = {
    ("operator", "fold", METRICS),
    ("operator", "plan", METRICS),
    ("prometheus", "fold", METRICS),
    ("prometheus", "plan", METRICS),
    ("prometheus", "operator", OPERATOR_METRICS),
}


@pytest.fixture(scope="module")
def reached() -> dict[str, set[Way]]:
    """The ways that were tried, and those on which there was a connection `before` and `under` the policies."""
    apart = ["unshare", "--net", "--mount"]
    command = [*apart, sys.executable, "-m", "tests.integration.network.trial", str(kube_router())]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=600, check=False)
    assert done.returncode == 0, "the trial failed: see its output"
    answer = json.loads(done.stdout.splitlines()[-1])
    return {when: {(source, target, port) for source, target, port in ways} for when, ways in answer.items()}


def test_without_the_policies_everybody_gets_in(reached: dict[str, set[Way]]) -> None:
    assert reached["before"] == reached["ways"]


def test_only_prometheus_and_the_operator_reach_the_metrics_and_nothing_else(reached: dict[str, set[Way]]) -> None:
    """Not even a pod that looks like one of them, from a namespace that anybody may write to."""
    under = {(source, target, port) for source, target, port in reached["under"] if source != NODE and target in SHUT}
    assert under == LET_IN


def test_the_node_gets_in_for_its_probes(reached: dict[str, set[Way]]) -> None:
    assert {way for way in reached["ways"] if way[0] == NODE} <= reached["under"]


def test_other_pods_of_the_namespace_are_left_alone(reached: dict[str, set[Way]]) -> None:
    """Which is also to say: what trainers and the operator connect to is left free."""
    others = {way for way in reached["ways"] if way[1] not in SHUT and way[0] != "helper"}
    assert others and others <= reached["under"]


def test_a_pod_that_the_command_line_made_reaches_nobody(reached: dict[str, set[Way]]) -> None:
    """It may hold a claim that it can write, and all that is asked of it comes through the kubelet."""
    assert {way for way in reached["ways"] if way[0] == "helper"}
    assert not {way for way in reached["under"] if way[0] == "helper"}
