"""What somebody is told who asked for a pod that the API server refuses: rights are named where rights are missing."""

import pytest

from nnunet_cli.kube.refusals import todo

RIGHTS = "it takes the rights"
ASK = "ask who runs the cluster about what is named"


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ('pods is forbidden: User "tom" cannot create resource "pods" in API group "" in the namespace "a"', RIGHTS),
        ("Unauthorized", RIGHTS),
        ('admission webhook "validate.kyverno.svc-fail" denied the request: label owner is required', ASK),
        ("pods \"x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no", ASK),
        ('pods "x" is forbidden: unable to create new content in namespace a because it is being terminated', ASK),
        ('pods "x" is forbidden: no PriorityClass with name gone was found', ASK),
        ('Pod "x" is invalid: spec.containers[0].resources: Invalid value', ASK),
        ('failed calling webhook "w": connection refused', "a webhook of the cluster does not answer"),
        ('pods "x" is forbidden: exceeded quota: q', "describe resourcequotas"),
    ],
)
def test_what_to_do_about_a_refusal(message: str, says: str) -> None:
    found = todo(message, "a", RIGHTS)
    assert says in found and (RIGHTS in found) is (says == RIGHTS)
