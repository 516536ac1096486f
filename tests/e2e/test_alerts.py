"""What goes wrong raises its alert in a real Prometheus, and the first command of its runbook finds the cause.

A training that stands still is in test_trust.py, a volume that fills up in test_failures.py: those wait for it anyway.
"""

from tests.e2e.builders import training
from tests.e2e.conftest import Lab
from tests.e2e.kube import Object


def test_a_loss_that_is_no_number(lab: Lab) -> None:
    """Nothing of it is saved, and the alert names the training."""
    kube, namespace, name = lab.kube, lab.namespace, "diverging"
    trainer = {"device": "cpu", "className": "DivergingTrainer", "image": lab.references["dishonest"]}
    kube.apply(training(name, namespace, epochs=9, trainer=trainer, retryLimit=0))
    status = kube.wait_finished(namespace, name, timeout=300)
    failed = next(c for c in status["conditions"] if c["type"] == "Failed")
    assert (failed["status"], failed["reason"]) == ("True", "LossNotFinite"), failed
    lab.monitoring.wait_alert("NnunetTrainingLossNaN", namespace=namespace, training=name)
    assert "not finite numbers" in lab.first_command("NnunetTrainingLossNaN", namespace, name)


def test_a_training_that_a_policy_holds(lab: Lab) -> None:
    """Admission lets nothing through that breaks a policy; one that was there before the policy is held."""
    kube, name = lab.kube, "held"
    namespace = "e2e-held"
    lab.make_namespace(namespace)
    kube.apply(training(name, namespace, epochs=200, iterations=6))
    kube.wait_epoch(namespace, name, 1, timeout=180)
    policy: Object = {
        "apiVersion": "nnunet.dev/v1alpha1",
        "kind": "NnunetTrainingPolicy",
        "metadata": {"name": "e2e-held"},
        "spec": {"mode": "Enforce", "namespaces": [namespace], "rules": {"minEpochs": 1000}},
    }
    kube.apply(policy)
    lab.monitoring.wait_alert("NnunetPolicyDenials", namespace=namespace, training=name)
    said = lab.first_command("NnunetPolicyDenials", namespace, name)
    assert "e2e-held" in said and "at least 1000" in said
    kube.run("delete", "nntp", "e2e-held")
    kube.run("delete", "nnt", name, "-n", namespace)
    kube.wait("the alert to end", lambda: not lab.monitoring.firing("NnunetPolicyDenials", training=name), timeout=90)
