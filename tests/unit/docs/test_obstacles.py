"""The page of what stands in the way has a row for each reason and case that stops a training, or a word on it."""

from collections import Counter

from hack.generate.obstacles import OBSTACLES
from hack.generate.obstacles_elsewhere import ELSEWHERE
from nnunet_api.reasons import Reason
from nnunet_api.remedies.remedy import Case, Group
from nnunet_api.remedies.table import REMEDIES

BLOCKING = (Group.WAITS, Group.HELD, Group.SUSPENDED, Group.FAILED, Group.STALLS, Group.SLOW)
TOLD_BY_TRAINERS = {row.reason for row in OBSTACLES if row.case == Case.TOLD}


def test_each_reason_and_case_that_stops_a_training_has_a_row() -> None:
    needed = {(reason, "") for reason in Reason if REMEDIES[reason].group in BLOCKING}
    needed |= {(reason, case) for reason in Reason for case in REMEDIES[reason].cases}
    shown = Counter((row.reason, row.case) for row in OBSTACLES)
    missing = {
        (reason, case)
        for reason, case in needed
        if (reason, case) not in shown
        and (reason, case) not in ELSEWHERE
        and not (not case and reason in TOLD_BY_TRAINERS)
    }
    assert not missing, (
        f"add rows to hack/generate/obstacles.py, or say in obstacles_elsewhere.py where they are tested: {missing}"
    )
    assert not set(ELSEWHERE) & set(shown) and set(ELSEWHERE) <= needed
    assert len({row.name for row in OBSTACLES}) == len(OBSTACLES)
