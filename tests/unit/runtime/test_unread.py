"""What a status says while the API server refuses to be read."""

from nnunet_api.reasons import ConditionType
from nnunet_operator.runtime.controllers.unread import while_unread
from tests.support.made_trainings import training
from tests.support.made_worlds import decide, world

FORBIDDEN = 'pods is forbidden: User "x" cannot list resource "pods"'


def test_it_is_told_once_beside_what_was_known_and_with_the_remedy_that_fits() -> None:
    before = decide(world(training())).status
    known = before.condition(ConditionType.PROGRESSING)
    assert known
    first = while_unread(before, FORBIDDEN)
    told = first.condition(ConditionType.PROGRESSING)
    assert told and told.message.startswith(f"{known.message}. But this") and FORBIDDEN in told.message
    assert "have its chart installed anew (helm upgrade)" in told.message
    assert while_unread(first, FORBIDDEN) == first
    other = while_unread(first, "etcdserver: request timed out").condition(ConditionType.PROGRESSING)
    assert other and other.message.endswith("etcdserver: request timed out.") and FORBIDDEN not in other.message
    assert (told.status, told.reason) == (known.status, known.reason)
