"""The chart's life: install, install again, upgrade, uninstall, install; trainings don't notice."""

from tests.e2e.builders import training
from tests.e2e.conftest import Lab


def test_an_operator_upgrade_and_reinstall_leave_a_running_training_untouched(lab: Lab) -> None:
    """The same pod trains on through an upgrade, and through an uninstall (which keeps the CRs) and a new install."""
    kube, namespace, name = lab.kube, lab.namespace, "bystander"
    kube.apply(training(name, namespace, epochs=1000, iterations=6))
    kube.wait_epoch(namespace, name, 1, timeout=180)
    pod = kube.pods(namespace, name, "fold")[-1]["metadata"]["name"]

    refused = lab.helm("install", lab.RELEASE, check=False)
    assert "cannot" in refused and "name" in refused, refused

    before = lab.operator_pod()["metadata"]["name"]
    lab.install("--set", "podAnnotations.upgraded=yes")
    assert lab.operator_pod()["metadata"]["name"] != before
    epoch = kube.status(namespace, name)["folds"][0]["epoch"]
    kube.wait_epoch(namespace, name, epoch + 1, timeout=90)

    lab.uninstall()
    assert kube.get("nnt", name, namespace), "the training was deleted with the operator"
    lab.install()
    epoch = kube.status(namespace, name)["folds"][0]["epoch"]
    fold = kube.wait_epoch(namespace, name, epoch + 1, timeout=120)["folds"][0]
    assert fold["attempts"] == 1
    assert kube.pods(namespace, name, "fold")[-1]["metadata"]["name"] == pod
    assert len(kube.jobs(namespace, name)) == 2
    kube.run("delete", "nnt", name, "-n", namespace)
    kube.wait("the pods to be gone", lambda: not kube.pods(namespace, name), timeout=150)
