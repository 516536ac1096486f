"""Jobs that were made and that no status tells of yet."""

from nnunet_api.job_status import JobStatus
from nnunet_api.status import NnunetTrainingStatus
from nnunet_operator.runtime.controllers.made import Made, Untold
from nnunet_operator.runtime.keys import Key

HIPPO, OTHER = Key("clinic", "hippo"), Key("clinic", "other")
STATUS = NnunetTrainingStatus(jobs=[JobStatus(name="hippo-plan", uid="1")])


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


def test_one_that_was_stopped_before_it_was_told_of_is_stopped() -> None:
    untold = Untold(made={"hippo-plan": "1", "hippo-fold-0": "2"}, stopped={"hippo-plan": "1"})
    told = {job.name: (job.uid, bool(job.stopping)) for job in untold.onto(STATUS).jobs}
    assert told == {"hippo-plan": ("1", True), "hippo-fold-0": ("2", False)}
