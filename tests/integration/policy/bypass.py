"""What stopped an attempt to go around the policies: admission, the schema, or RBAC."""

from tests.integration.policy.support import Answer

LABEL = "nnunet.dev/clinical"


def stopped_by_admission(answer: Answer, policy: str) -> None:
    assert (answer.status, answer.denial[0]) == (403, policy), answer.message


def stopped_by_schema(answer: Answer, words: str) -> None:
    assert answer.status in (400, 422), answer.message
    assert words in answer.message
    assert answer.denial[0] == ""


def stopped_by_rbac(answer: Answer, verb: str, resource: str) -> None:
    assert answer.status == 403, answer.message
    assert f'cannot {verb} resource "{resource}"' in answer.message
