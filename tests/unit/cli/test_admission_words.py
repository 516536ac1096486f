"""What admission says is read out of its text, cut or not."""

import pytest

from nnunet_cli.kube.admission import read_warning

HEAD = "Validation failed for ValidatingAdmissionPolicy 'nnunet-policy-warn' with binding 'nnunet-policy-warn': "
MESSAGE = "policy a: " + "x" * 300


@pytest.mark.parametrize(
    ("text", "of"),
    [
        (HEAD + MESSAGE, True),
        ((HEAD + MESSAGE)[:256], True),
        ((HEAD + MESSAGE)[:255], False),
        ((HEAD + MESSAGE.replace("policy a", "policy b"))[:256], False),
        ("unknown field", False),
    ],
)
def test_a_warning_that_was_cut_is_known_again(text: str, of: bool) -> None:
    assert read_warning(text).is_of(MESSAGE) is of
