"""One reconcile of a policy: its status from the decisions on all trainings, and a warning before exceptions end."""

import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from pydantic import ValidationError

from nnunet_api.policy.decision import Policy
from nnunet_api.policy.status import PolicyUse
from nnunet_api.policy.use import next_change, policy_use
from nnunet_api.reasons import EventReason, PolicyConditionType
from nnunet_operator.core.decision import Event
from nnunet_operator.kube.objects import Manifest
from nnunet_operator.runtime.client.resources import POLICIES, TRAININGS
from nnunet_operator.runtime.controllers.parts import Parts
from nnunet_operator.runtime.controllers.stored import Stored
from nnunet_operator.runtime.informers.controller import Controller, Reason, itself_where_it_differs
from nnunet_operator.runtime.informers.informer import Cache
from nnunet_operator.runtime.informers.store import Change, Store
from nnunet_operator.runtime.keys import Key
from nnunet_operator.runtime.queue.workers import Outcome
from nnunet_operator.runtime.summary import Summary

log = logging.getLogger(__name__)

AT_ONCE = 2
"""Policies whose status is written at the same time: one that the API server is slow with keeps no other waiting."""
LONGEST_WAIT_SECONDS = 3600.0


class PolicyStatuses:
    """Keeps the status of the policies. What it counts is what the trainings' own statuses say."""

    def __init__(self, parts: Parts) -> None:
        self._stored = Stored(parts, POLICIES)
        self._feed = parts.feed
        self._policies = parts.policies
        self._recorder = parts.recorder

    async def reconcile(self, key: Key) -> Outcome:
        """Write a policy's status where it is another one. Raises Conflict, ApiError and Unreachable."""
        policy = next((one for one in self._policies.policies().readable if one.name == key.name), None)
        body = self._feed.cache[POLICIES].get(key)
        if policy is None or body is None:
            return Outcome()
        now = datetime.now(UTC)
        await self._write(policy, body, outcomes(self._feed.cache[TRAININGS], policy.name), now)
        change = next_change(policy, now)
        wait = (change - now).total_seconds() if change else LONGEST_WAIT_SECONDS
        return Outcome(min(wait, LONGEST_WAIT_SECONDS))

    async def _write(self, policy: Policy, body: Manifest, counted: list[str], now: datetime) -> None:
        before = _status(policy, body)
        use = policy_use(policy, counted, before, now)
        if use == before:
            return
        stored = await self._stored.write_status(Key("", policy.name), body, use.to_json_dict())
        if stored is None:
            return
        if warning := _warning(before, use):
            await self._recorder.record(stored, warning)


def controller(parts: Parts) -> Controller:
    """Return the controller of policies."""
    settle = parts.patience.policies
    return Controller(
        POLICIES,
        owns=(Reason(POLICIES, itself_where_it_differs, settle), Reason(TRAININGS, decided_differently, settle)),
        reconcile=PolicyStatuses(parts).reconcile,
        at_once=AT_ONCE,
    )


def outcomes(trainings: Store[Summary], policy: str) -> list[str]:
    """Return what a policy came to, once for each training that it decided on."""
    return [outcome for _, summary in trainings.summaries() for name, outcome in summary.decisions if name == policy]


def decided_differently(_: Cache, changes: Sequence[Change[Summary]]) -> Iterable[Key]:
    """Return the policies that trainings tell of otherwise than before: a decision is new, another one, or gone."""
    names = set()
    for change in changes:
        before, after = (set(summary.decisions) if summary else set() for summary in (change.before, change.after))
        names |= {name for name, _ in before ^ after}
    return [Key("", name) for name in sorted(names)]


def _status(policy: Policy, body: Manifest) -> PolicyUse:
    try:
        return PolicyUse.model_validate(body["status"], by_alias=True, by_name=False)
    except ValidationError as error:  # somebody else wrote it: it is made anew
        log.warning("the status of policy %s can't be read and is replaced: %s", policy.name, error)
        return PolicyUse()


def _warning(before: PolicyUse, after: PolicyUse) -> Event | None:
    """Return the Event of exceptions that end soon, where there is something new to it."""
    old, new = (use.condition(PolicyConditionType.EXCEPTIONS_EXPIRING) for use in (before, after))
    if new is None or new.status != "True" or (old is not None and old.message == new.message):
        return None
    return Event("Warning", EventReason.EXCEPTION_EXPIRING.value, new.message)
