"""`kubectl nnunet audit` against a real API server: pages, namespaces, rights."""

import csv
import io
from typing import Any

import pytest

from nnunet_cli.kube import cluster
from tests.integration.cli.conftest import Site
from tests.support.audited import STATUS
from tests.support.builders import training
from tests.support.command import Command

READ = {"apiGroups": ["nnunet.dev"], "resources": ["nnunettrainings"], "verbs": ["get", "list"]}
NAMESPACES = {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["list"]}


@pytest.fixture(scope="module")
def runs(site: Site) -> str:
    """A namespace with five trainings, one of which has run, and another one with one."""
    for namespace, names in (("audit-a", "edcba"), ("audit-b", "z")):
        site.namespace(namespace)
        for name in names:
            site.api.create("nnunettrainings", training(namespace, name, schedule={"epochs": 1000}))
    site.api.merge("nnunettrainings", "audit-a", "c", {"status": STATUS}, "status")
    return "audit-a"


def rows(out: str) -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(out)))


def test_csv_of_a_namespace_page_by_page(runs: str, nnunet: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = nnunet("audit", "-n", runs, "-o", "csv")
    monkeypatch.setattr(cluster, "PAGE", 2)
    paged = nnunet("audit", "-n", runs, "-o", "csv")
    assert (whole.code, paged.code, paged.out) == (0, 0, whole.out)
    found = rows(paged.out)
    assert [row["name"] for row in found] == ["a", "b", "c", "d", "e"]
    assert (found[2]["epochsProven"], found[2]["started"]) == ("600", "2026-03-01T10:00:00Z")
    assert (found[0]["epochsAsked"], found[0]["epochsProven"]) == ("1000", "")
    assert found[0]["resultsClaim"] == "nnunet-results"


def test_looks_are_summed_as_far_as_one_may_read(site: Site, runs: str, nnunet: Command) -> None:
    for namespace, total in ((runs, 3), ("audit-b", 4)):
        spec = {"imagesHash": "7" * 64}
        metadata = {"name": "sha256-7", "namespace": namespace}
        body = {"apiVersion": "nnunet.dev/v1alpha1", "kind": "NnunetTestSet", "metadata": metadata, "spec": spec}
        site.api.create("nnunettestsets", body)
        site.api.merge("nnunettestsets", namespace, "sha256-7", {"status": {"total": total}}, "status")
    ledgers = {**READ, "resources": ["nnunettrainings", "nnunettestsets"]}
    configs = site.person("one", runs, ledgers), site.person("all", runs, everywhere=(ledgers,)), None
    found = []
    for config in configs:
        out = nnunet("audit", "-n", runs, "-o", "csv", *(("--kubeconfig", config) if config else ())).out
        found.append(next(row["testSetLooks"] for row in rows(out) if row["name"] == "c"))
    assert found == ["3", "7", "7"]


def test_all_namespaces_and_json(runs: str, nnunet: Command) -> None:
    found = nnunet("audit", "-A", "-o", "json").data["items"]
    assert [item["name"] for item in found if item["namespace"].startswith("audit-")] == ["a", "b", "c", "d", "e", "z"]
    assert next(item for item in found if item["name"] == "c")["checkpointHashes"] == {"0": "c0", "1": "c1"}


def test_the_table_and_the_namespace_of_the_context(site: Site, runs: str, nnunet: Command) -> None:
    run = nnunet("audit", "--kubeconfig", site.person("table", runs, READ))
    assert [line.split()[:2] for line in run.out.splitlines()[1:]] == [[runs, name] for name in "abcde"]
    run = nnunet("audit")
    assert (run.code, run.out) == (0, "") and "there is no training in namespace default" in run.err


def test_all_that_one_may_read(site: Site, runs: str, nnunet: Command) -> None:
    config = site.person("some", runs, READ, everywhere=(NAMESPACES,))
    run = nnunet("audit", "-A", "-o", "csv", "--kubeconfig", config)
    assert run.code == 0 and {row["namespace"] for row in rows(run.out)} == {runs}
    assert "left out, because you may not read trainings there" in run.err and "audit-b" in run.err


def test_who_may_read_nothing(site: Site, runs: str, nnunet: Command) -> None:
    config = site.person("nobody", runs)
    everywhere = nnunet("audit", "-A", "--kubeconfig", config)
    assert everywhere.code == 3 and "give one with --namespace" in everywhere.err
    here = nnunet("audit", "--kubeconfig", config)
    assert here.code == 3 and "cannot list resource" in here.err and here.out == ""
