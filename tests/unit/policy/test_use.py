"""The status of a policy: what it decided on, and the exceptions that end soon."""

from datetime import datetime, timedelta

import pytest

from nnunet_api.policy.status import PolicyUse
from nnunet_api.policy.use import next_change, policy_use
from tests.support.made_policies import NOW, exception, policy

END = datetime.fromisoformat("2026-06-01T00:00:00+00:00")


def test_counts() -> None:
    outcomes = ["Allowed", "Denied", "Denied", "Excepted", "Warned", "Audited"]
    use = policy_use(policy(generation=3), outcomes, PolicyUse(), NOW)
    assert (use.trainings, use.denied, use.excepted, use.warned, use.observed_generation) == (6, 2, 1, 2, 3)
    assert use.next_exception_expiry is None


@pytest.mark.parametrize(
    ("now", "warned", "expiry"),
    [
        (END - timedelta(days=14, seconds=1), False, END),
        (END - timedelta(days=14), True, END),
        (END - timedelta(seconds=1), True, END),
        (END, False, None),
    ],
)
def test_an_exception_is_warned_about_before_it_ends(now: datetime, warned: bool, expiry: datetime | None) -> None:
    one = policy(exceptions=[exception()])
    use = policy_use(one, [], PolicyUse(), now)
    (condition,) = use.conditions
    assert (condition.status == "True", use.next_exception_expiry) == (warned, expiry)
    assert ("clinic/hippo (ticket QM-17) at 2026-06-01T00:00:00Z" in condition.message) is warned


def test_what_did_not_change_is_written_the_same() -> None:
    one = policy(exceptions=[exception()])
    before = policy_use(one, ["Allowed"], PolicyUse(), END - timedelta(days=3))
    stored = PolicyUse.model_validate(before.to_json_dict())
    assert policy_use(one, ["Allowed"], stored, END - timedelta(days=2)) == stored


def test_when_the_clock_alone_changes_it() -> None:
    one = policy(exceptions=[exception()])
    warning = END - timedelta(days=14)
    assert next_change(one, NOW) == warning
    assert next_change(one, warning) == END
    assert next_change(one, END) is None


@pytest.mark.parametrize("end", ["0001-01-01T00:00:00Z", "0001-01-10T00:00:00Z"])
def test_an_end_in_the_first_days_of_the_calendar_is_over(end: str) -> None:
    one = policy(exceptions=[exception(expiresAt=end)])
    assert next_change(one, NOW) is None
    assert policy_use(one, [], PolicyUse(), NOW).next_exception_expiry is None
