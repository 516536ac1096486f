"""The chart's life on a real API server: install, again, upgrade, uninstall, install."""

import json
from typing import Any

import pytest

from hack.prepare.helm import CHART, ROOT, HelmError, merged, render
from tests.integration.chart.conftest import APART, CRD, LEAN, NAMESPACE, Site
from tests.support.small_training import training


def deployment(site: Site) -> dict[str, Any]:
    return site.kube.get("deployment", "nnunet-operator", NAMESPACE)


def test_the_operators_pod_passes_the_restricted_standard(served: Site) -> None:
    served.namespace(NAMESPACE, **{"pod-security.kubernetes.io/enforce": "restricted"})
    served.install_served(LEAN)
    (pod,) = served.kube.wait("the operator's pod to be made", lambda: served.kube.list("pods", NAMESPACE), timeout=90)
    assert pod["spec"]["serviceAccountName"] == "nnunet-operator"
    assert served.kube.get("service", "nnunet-operator-metrics", NAMESPACE)["spec"]["ports"][0]["port"] == 9090


def test_the_training_in_the_notes_is_accepted(served: Site) -> None:
    notes = served.install_served()
    manifest = notes.partition("<<EOF\n")[2].partition("  EOF")[0]
    served.train(manifest, "default")


def test_an_upgrade_changes_the_operator_and_leaves_trainings_alone(served: Site) -> None:
    served.install_served(LEAN)
    served.train(training("bystander", "default"), "default")
    before = served.kube.get("nnt", "bystander", "default")
    served.upgrade({**APART, **LEAN, "image": {"tag": "v2"}, "settings": {"logLevel": "DEBUG"}})
    (operator,) = deployment(served)["spec"]["template"]["spec"]["containers"]
    assert operator["image"] == "nnunet-operator:v2"
    assert {"name": "NNUNET_OPERATOR_LOG_LEVEL", "value": "DEBUG"} in operator["env"]
    served.helm("upgrade", "nnunet-operator", str(CHART), "--reset-then-reuse-values")
    (operator,) = deployment(served)["spec"]["template"]["spec"]["containers"]
    assert operator["image"] == "nnunet-operator:v2", "an upgrade keeps the values that were given"
    assert served.kube.get("nnt", "bystander", "default") == before


def written_back(wanted: Any, stored: Any) -> bool:
    """Return whether what was written is what is stored; fields that Kubernetes adds to an object are its own."""
    if isinstance(wanted, dict):
        return isinstance(stored, dict) and all(written_back(value, stored.get(key)) for key, value in wanted.items())
    return bool(wanted == stored) if not isinstance(wanted, list) else _same_items(wanted, stored)


def _same_items(wanted: list[Any], stored: Any) -> bool:
    return isinstance(stored, list) and len(wanted) == len(stored) and all(map(written_back, wanted, stored))


def test_what_the_chart_writes_is_stored_as_it_is_written(served: Site) -> None:
    """Argo CD and Flux compare: what Kubernetes adds or leaves out would be out of sync for ever."""
    served.install_served()
    documents = [body for body in render() if body["kind"] != "CustomResourceDefinition"]
    assert len(documents) > 20
    written = json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
    all_stored = json.loads(served.kube.run("get", "-f", "-", "-o", "json", stdin=written))["items"]
    for body, stored in zip(documents, all_stored, strict=True):
        assert body["metadata"]["name"] == stored["metadata"]["name"]
        assert written_back(body.get("spec", {}), stored.get("spec", {})), body["metadata"]
        if body["kind"] == "ValidatingAdmissionPolicy":
            # A list that is compared as a whole.
            assert (
                body["spec"]["matchConstraints"]["resourceRules"] == stored["spec"]["matchConstraints"]["resourceRules"]
            )
        if body["kind"] == "Deployment":
            env = [pod["template"]["spec"]["containers"][0]["env"] for pod in (body["spec"], stored["spec"])]
            assert env[0] == env[1]


def test_a_kind_that_the_cluster_does_not_have_is_named(served: Site) -> None:
    with pytest.raises(HelmError, match=r'no matches for kind "PodMonitor" in version "monitoring\.coreos\.com/v1"'):
        served.install({**APART, "monitoring": {"podMonitor": {"create": True}}})
    assert deployment(served) == {}, "half of it was installed"


def test_install_says_what_to_type_next(site: Site) -> None:
    notes = site.install()
    assert "It watches all namespaces." in notes
    assert f"kubectl -n {NAMESPACE} rollout status deployment/nnunet-operator" in notes
    assert "kind: NnunetTraining" in notes
    assert "crds.keep is false" not in notes
    assert "the image that verifies checkpoints is\nnnunet-trainer:0.1.0, a tag" in notes, notes
    digest = f"sha256:{'ab' * 32}"
    assert "CAUTION" not in site.upgrade({"trainer": {"image": {"digest": digest}}})
    definition = site.kube.get("crd", "nnunettrainings.nnunet.dev", "")
    assert definition["metadata"]["annotations"]["nnunet.dev/trainer-image"] == f"nnunet-trainer@{digest}"


def test_a_second_install_is_refused(site: Site) -> None:
    site.install(LEAN)
    with pytest.raises(HelmError, match="cannot reuse a name that is still in use"):
        site.install()
    with pytest.raises(
        HelmError,
        match=r'"nnunet\w+\.nnunet\.dev".* exists .*must equal "other": current value is "nnunet-operator"',
    ):
        site.install({}, "other")


def test_trainings_outlive_the_release_and_the_next_one_takes_over(site: Site) -> None:
    site.install(LEAN)
    site.train(training("bystander", "default"), "default")
    before = site.kube.get("nnt", "bystander", "default")
    assert f"[CustomResourceDefinition] {CRD}" in site.uninstall()
    assert deployment(site) == {}
    assert (
        site.kube.run("get", "clusterroles,clusterrolebindings", "-l", "app.kubernetes.io/name=nnunet-operator") == ""
    )
    assert site.kube.get("nnt", "bystander", "default") == before
    site.install(LEAN)
    assert site.kube.get("nnt", "bystander", "default") == before


def test_another_release_takes_the_kept_crd_only_when_told_to(site: Site) -> None:
    site.install(LEAN)
    site.uninstall()
    with pytest.raises(HelmError, match='must equal "other": current value is "nnunet-operator"'):
        site.install(LEAN, "other")
    site.install(LEAN, "other", "--take-ownership")
    annotations = site.kube.get("crd", CRD, "")["metadata"]["annotations"]
    assert annotations["meta.helm.sh/release-name"] == "other"


def test_the_crd_goes_with_the_release_when_it_is_not_kept(site: Site) -> None:
    assert "helm uninstall will delete every NnunetTraining" in site.install(merged(LEAN, {"crds": {"keep": False}}))
    site.uninstall()
    assert site.kube.get("crd", CRD, "") == {}


def test_a_release_without_the_crd_leaves_it_to_others(site: Site) -> None:
    site.kube.run("apply", "-f", str(ROOT / "manifests" / "crd"))
    site.install(merged(LEAN, APART))
    site.uninstall()
    assert site.kube.get("crd", CRD, "") != {}


def test_kustomize_installs_the_same_and_helm_takes_over(site: Site) -> None:
    manifests = ROOT / "manifests"
    site.kube.run("apply", "-k", str(manifests))
    (operator,) = deployment(site)["spec"]["template"]["spec"]["containers"]
    assert operator["image"] == "registry.example.org/nnunet-operator:0.1.0"
    site.train(training("bystander", "default"), "default")
    operator_only = ["-f", str(manifests / "operator" / "operator.yaml"), "-f", str(manifests / "rbac")]
    site.kube.run("delete", "-n", NAMESPACE, *operator_only)
    site.install({}, "nnunet-operator", "--take-ownership", "--force-conflicts")
    assert site.kube.get("nnt", "bystander", "default")
