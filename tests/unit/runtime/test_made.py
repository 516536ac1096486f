"""Jobs that were made and that no status tells of yet."""

from nnunet_operator.runtime.controllers.made import Made
from nnunet_operator.runtime.keys import Key

HIPPO, OTHER = Key("clinic", "hippo"), Key("clinic", "other")


def test_what_a_status_tells_of_is_forgotten_and_what_was_made_since_is_not() -> None:
    made = Made()
    made.add(HIPPO, "hippo-plan", "1")
    made.add(OTHER, "other-plan", "9")
    before = made.of(HIPPO)
    made.add(HIPPO, "hippo-plan", "2")
    made.told(HIPPO, before)
    assert made.of(HIPPO) == {"hippo-plan": "2"}
    made.told(HIPPO, made.of(HIPPO))
    assert made.of(HIPPO) == {}
    made.forget(OTHER)
    assert made.of(OTHER) == {}
