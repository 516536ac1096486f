"""One reconcile of a ledger: the looks at a test set that trainings and comparisons tell of, each counted once.

Looks are noted when the operator itself stores, or is told, that something was scored, and stay noted until the ledger
has them: whoever deletes a training right after its end is counted all the same. After a restart everything that is
still there is told anew, and what the ledger has is not counted again; and so it is when a ledger is deleted.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence

from pydantic import ValidationError

from nnunet_api.base import API_VERSION
from nnunet_api.reasons import EventReason
from nnunet_api.test_set import KIND, MAX_LEDGERS, Look, LookKind, NnunetTestSetStatus, object_name, with_looks
from nnunet_operator.core.decision import Event
from nnunet_operator.kube.objects import Manifest
from nnunet_operator.runtime.client.resources import COMPARISONS, TEST_SETS, TRAININGS
from nnunet_operator.runtime.controllers.parts import Parts
from nnunet_operator.runtime.controllers.stored import Stored
from nnunet_operator.runtime.errors import ApiError
from nnunet_operator.runtime.informers.controller import Controller, Reason
from nnunet_operator.runtime.informers.informer import Cache
from nnunet_operator.runtime.informers.store import Change
from nnunet_operator.runtime.keys import Key
from nnunet_operator.runtime.queue.workers import Outcome
from nnunet_operator.runtime.summary import ComparisonSummary, Summary, TestSetSummary

log = logging.getLogger(__name__)

AT_ONCE = 1
REFUSED_SECONDS = 60.0
"""Time after which a ledger is tried again that the API server refused, as it does in a namespace that is going."""


_FULL = (
    "this look at the test set {images_hash} is not counted: namespace {namespace} has {most} NnunetTestSets, the most "
    "that there may be, so nobody knows how often this one was looked at. Have an administrator delete those of test "
    "sets that are used no more (kubectl get nnts -n {namespace}): it is counted then"
)


class TestSets:
    """Keeps the ledgers. Holds nothing but the looks that none of them has yet."""

    __test__ = False  # pytest: not a test class

    def __init__(self, parts: Parts) -> None:
        self._client = parts.client
        self._stored = Stored(parts, TEST_SETS)
        self._feed = parts.feed
        self._recorder = parts.recorder
        self._noted: dict[Key, dict[str, Look]] = {}  # by ledger and UID
        self._hashes: dict[Key, str] = {}

    def by_trainings(self, _: Cache, changes: Sequence[Change[Summary]]) -> Iterator[Key]:
        """Note the trainings that have been scored on a test set, and yield its ledger."""
        for change in changes:
            look = change.after.look if change.after else None
            if look and (change.before is None or change.before.look != look):
                images_hash, uid, time = look
                yield self._note(change.key, images_hash, LookKind.TRAINING, uid, time)

    def by_comparisons(self, cache: Cache, changes: Sequence[Change[ComparisonSummary]]) -> Iterator[Key]:
        """Note the comparisons that have a verdict on a test set, and yield its ledger."""
        for change in changes:
            after = change.after
            if after is None or after.look is None or (change.before and change.before.look == after.look):
                continue
            uid, time = after.look
            if images_hash := _hash_of_arms(cache, change.key.namespace, after):
                yield self._note(change.key, images_hash, LookKind.COMPARISON, uid, time)

    def anew(self, cache: Cache, changes: Sequence[Change[TestSetSummary]]) -> Iterator[Key]:
        """Note what has looked in namespaces where a ledger is gone, and yield the ledgers of that.

        There may be room now for others than the one that is gone. What a ledger has is not counted again.
        """
        namespaces = {change.key.namespace for change in changes if change.after is None}
        if not namespaces:
            return
        for resource, note in ((TRAININGS, self.by_trainings), (COMPARISONS, self.by_comparisons)):
            known = [(key, one) for key, one in cache[resource].summaries() if key.namespace in namespaces and one.look]
            yield from note(cache, [Change(key, key, after=one) for key, one in known])

    async def reconcile(self, key: Key) -> Outcome:
        """Count what was noted. Raises Conflict, Unreachable, ApiError, and ValueError for what can't be read."""
        noted = dict(self._noted.get(key, {}))
        if not noted:
            return Outcome()
        body = self._feed.cache[TEST_SETS].get(key)
        if body is None and self._is_full(key.namespace):
            await self._not_counted(key, noted)
            return Outcome()
        try:
            body = body or await self._create(key)
        except ApiError as error:
            if error.status == 404:  # the namespace is gone, with all that was to be counted in it
                self._forget(key, noted)
                return Outcome()
            if error.status != 403:
                raise
            log.warning("the ledger %s can't be made: %s", key, error)
            return Outcome(REFUSED_SECONDS)
        before = _status(key, body, self._hashes[key])
        after = with_looks(before, noted.values())
        if after != before and await self._stored.write_status(key, body, after.to_json_dict()) is None:
            return Outcome(REFUSED_SECONDS)  # deleted meanwhile: it is made anew
        self._forget(key, noted)
        return Outcome()

    def _note(self, who: Key, images_hash: str, kind: LookKind, uid: str, time: str) -> Key:
        key = Key(who.namespace, object_name(images_hash))
        look = {"kind": kind, "name": who.name, "uid": uid, "time": time}
        self._noted.setdefault(key, {})[uid] = Look.model_validate(look, by_alias=True, by_name=True)
        self._hashes[key] = images_hash
        return key

    def _forget(self, key: Key, noted: Mapping[str, Look]) -> None:
        left = {uid: look for uid, look in self._noted.get(key, {}).items() if uid not in noted}
        if left:
            self._noted[key] = left
        else:
            self._noted.pop(key, None)
            self._hashes.pop(key, None)

    def _is_full(self, namespace: str) -> bool:
        known = self._feed.cache[TEST_SETS].keys()
        return sum(key.namespace == namespace for key in known) >= MAX_LEDGERS

    async def _not_counted(self, key: Key, noted: Mapping[str, Look]) -> None:
        """Tell those that looked that it is not counted. They are noted anew once there is room."""
        said = _FULL.format(images_hash=self._hashes[key], most=MAX_LEDGERS, namespace=key.namespace)
        self._forget(key, noted)
        for uid, look in noted.items():
            resource = TRAININGS if look.kind is LookKind.TRAINING else COMPARISONS
            body = self._feed.cache[resource].get(Key(key.namespace, look.name))
            if body is not None and body["metadata"]["uid"] == uid:
                event = Event("Warning", EventReason.LOOK_NOT_COUNTED.value, said)
                await self._recorder.record({**body, "kind": resource.kind}, event)
            else:
                log.warning("%s %s/%s is gone: %s", look.kind.value, key.namespace, look.name, said)

    async def _create(self, key: Key) -> Manifest:
        body = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": key.name, "namespace": key.namespace},
            "spec": {"imagesHash": self._hashes[key]},
        }
        try:
            stored = await self._client.create(TEST_SETS, key.namespace, body)
        except ApiError as error:
            if error.status != 409:
                raise
            stored = await self._stored.get(TEST_SETS, key)
        self._feed.seen(TEST_SETS, stored, by=TEST_SETS)
        return stored


def _status(key: Key, body: Manifest, images_hash: str) -> NnunetTestSetStatus:
    """Return what a ledger has. Raises ValueError for one that is not to be written over."""
    if body["spec"].get("imagesHash") != images_hash:
        raise ValueError(f"{KIND} {key} is of another test set, {body['spec'].get('imagesHash')}, and is left alone")
    try:
        return NnunetTestSetStatus.model_validate(body.get("status") or {}, by_alias=True, by_name=False)
    except ValidationError as error:
        raise ValueError(f"the status of {KIND} {key} does not parse, so it is left alone: {error}") from None


def _hash_of_arms(cache: Cache, namespace: str, summary: ComparisonSummary) -> str | None:
    """Return the hash of the test set of a comparison, which is that of each of its trainings."""
    for name in sorted(summary.trainings):
        body = cache[TRAININGS].get(Key(namespace, name))
        found = (((body or {}).get("status") or {}).get("results") or {}).get("testSetHash")
        if found:
            return str(found)
    return None


def controller(parts: Parts) -> Controller:
    """Return the controller of ledgers."""
    test_sets = TestSets(parts)
    return Controller(
        TEST_SETS,
        owns=(
            Reason(TRAININGS, test_sets.by_trainings),
            Reason(COMPARISONS, test_sets.by_comparisons),
            Reason(TEST_SETS, test_sets.anew),
        ),
        reconcile=test_sets.reconcile,
        at_once=AT_ONCE,
    )
