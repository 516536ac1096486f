"""Keeps the status of the policies, counts their decisions, and warns before exceptions end."""

import asyncio
import logging
from collections import defaultdict
from datetime import UTC, datetime

from pydantic import ValidationError

from nnunet_operator.api.reasons import EventReason, PolicyConditionType
from nnunet_operator.api.status import AppliedPolicies, PolicyUse
from nnunet_operator.builders.model import Manifest
from nnunet_operator.metrics import Metrics
from nnunet_operator.policy.decision import Policy
from nnunet_operator.policy.use import next_change, policy_use
from nnunet_operator.reconcile.model import Event
from nnunet_operator.runtime.cache import Cache
from nnunet_operator.runtime.client import POLICIES, Client
from nnunet_operator.runtime.errors import ApiError
from nnunet_operator.runtime.keys import Key
from nnunet_operator.runtime.lasting import Backoff, forever
from nnunet_operator.runtime.patience import USUAL, Patience
from nnunet_operator.runtime.policies import PolicyBook
from nnunet_operator.runtime.recorder import Recorder

log = logging.getLogger(__name__)

LONGEST_WAIT_SECONDS = 3600.0
LONGEST_BACKOFF_SECONDS = 60.0
"""Longest delay after errors in a row."""


class PolicyKeeper:
    """Keeps the status of the policies. What it counts is what the trainings' own statuses say."""

    def __init__(
        self,
        client: Client,
        cache: Cache,
        book: PolicyBook,
        recorder: Recorder,
        metrics: Metrics,
        patience: Patience = USUAL,
    ) -> None:
        self._settle = patience.policies
        self._client = client
        self._cache = cache
        self._book = book
        self._recorder = recorder
        self._metrics = metrics
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """Have a look at the policies soon."""
        self._changed.set()

    def decided(self, before: AppliedPolicies | None, after: AppliedPolicies | None) -> None:
        """Take note of what was decided on a training, once it is stored."""
        if after is None or before == after:
            return
        self.changed()
        known = before.decisions if before else []
        for decision in after.decisions:
            if not any(decision.says_the_same(other) for other in known):
                for rule in decision.broken_rules or ("",):
                    self._metrics.policy_decisions.labels(decision.policy, rule, decision.outcome).inc()

    async def run(self) -> None:
        """Write what has changed. Never ends."""
        await forever("the look at the policies", self._turn, Backoff(self._settle, LONGEST_BACKOFF_SECONDS))

    async def _turn(self) -> None:
        """Wait for a change and write it. Raises what a write raised, once all policies had their turn."""
        try:
            async with asyncio.timeout(self._wait()):
                await self._changed.wait()
            await asyncio.sleep(self._settle)
        except TimeoutError:
            pass
        self._changed.clear()
        try:
            await self._write_all()
        except BaseException:
            self.changed()
            raise

    def _wait(self) -> float:
        now = datetime.now(UTC)
        changes = (next_change(policy, now) for policy in self._book.policies().readable)
        waits = ((change - now).total_seconds() for change in changes if change)
        return min((LONGEST_WAIT_SECONDS, *waits))

    async def _write_all(self) -> None:
        outcomes: defaultdict[str, list[str]] = defaultdict(list)
        failure: Exception | None = None
        for _, summary in self._cache.trainings.summaries():
            for name, outcome in summary.decisions:
                outcomes[name].append(outcome)
        for policy in self._book.policies().readable:
            body = self._cache.policies.get(Key("", policy.name))
            if body is None:
                continue
            try:
                await self._write(policy, body, outcomes[policy.name])
            except Exception as error:  # one policy must not keep the others from being written
                log.warning("the status of policy %s was not written and will be later: %s", policy.name, error)
                failure = failure or error
        if failure:
            raise failure

    async def _write(self, policy: Policy, body: Manifest, outcomes: list[str]) -> None:
        try:
            before = PolicyUse.model_validate(body["status"], by_alias=True, by_name=False)
        except ValidationError as error:  # somebody else wrote it: it is made anew
            log.warning("the status of policy %s can't be read and is replaced: %s", policy.name, error)
            before = PolicyUse()
        use = policy_use(policy, outcomes, before, datetime.now(UTC))
        if use == before:
            return
        key, version = Key("", policy.name), body["metadata"]["resourceVersion"]
        try:
            stored = await self._client.write_status(POLICIES, key, version, use.to_json_dict())
        except ApiError as error:
            if error.status == 404:
                return  # deleted meanwhile; the watch tells
            raise
        self._cache.policies.put(stored)
        if warning := _warning(before, use):
            await self._recorder.record(stored, warning)


def _warning(before: PolicyUse, after: PolicyUse) -> Event | None:
    """Return the Event of exceptions that end soon, where there is something new to it."""
    old, new = (use.condition(PolicyConditionType.EXCEPTIONS_EXPIRING) for use in (before, after))
    if new is None or new.status != "True" or (old is not None and old.message == new.message):
        return None
    return Event("Warning", EventReason.EXCEPTION_EXPIRING.value, new.message)
