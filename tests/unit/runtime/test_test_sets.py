"""Looks at test sets: what is noted, and that none is lost or counted twice."""

from typing import Any

import pytest

from nnunet_api.test_set import MAX_LEDGERS
from nnunet_operator.runtime.client.resources import COMPARISONS, EVENTS, TEST_SETS, TRAININGS
from nnunet_operator.runtime.errors import ApiError
from nnunet_operator.runtime.informers.controller import Controller
from nnunet_operator.runtime.keys import Key
from nnunet_operator.runtime.known import MAX_TEST_SETS, Known
from nnunet_operator.runtime.summary import summarize
from tests.support.builders import comparison, training
from tests.unit.runtime.clock import run
from tests.unit.runtime.make import drain, parts

HASH = "7" * 64
LEDGER = Key("clinic", f"sha256-{'7' * 40}")
OVER = {"completionTime": "2026-03-01T12:00:00Z", "results": {"testSetHash": HASH}}


class Server:
    """An API server that knows ledgers alone."""

    def __init__(self, *refusals: int) -> None:
        self.stored: dict[str, Any] | None = None
        self.refusals = list(refusals)
        self.writes = 0
        self.events: list[dict[str, Any]] = []

    async def create(self, resource: Any, namespace: str, body: dict[str, Any]) -> dict[str, Any]:
        if resource == EVENTS:
            self.events.append(body)
            return body
        if self.refusals:
            raise ApiError(self.refusals.pop(0), "no", "")
        head = {**body["metadata"], "namespace": namespace, "uid": "u", "resourceVersion": "100", "generation": 1}
        self.stored = {**body, "metadata": head}
        return self.stored

    async def write_status(self, _: Any, __: Key, version: str, status: dict[str, Any]) -> dict[str, Any]:
        assert self.stored is not None and version == self.stored["metadata"]["resourceVersion"]
        self.writes += 1
        head = {**self.stored["metadata"], "resourceVersion": str(100 + self.writes)}
        self.stored = {**self.stored, "metadata": head, "status": status}
        return self.stored

    @property
    def total(self) -> int:
        return int(((self.stored or {}).get("status") or {}).get("total", 0))


def stored(body: dict[str, Any], version: int, uid: str, status: dict[str, Any]) -> dict[str, Any]:
    head = {"uid": uid, "resourceVersion": str(version), "generation": 1, "creationTimestamp": "2026-03-01T12:00:00Z"}
    return {**body, "metadata": {**body["metadata"], **head}, "status": status}


def ledgers(server: Server) -> tuple[Any, Controller]:
    """Return the feed and the controller of ledgers that it tells."""
    made, _ = parts(server)
    return made.feed, next(one for one in made.feed._controllers if one.resource == TEST_SETS)


def test_trainings_and_comparisons_are_counted_once() -> None:
    async def scenario(server: Server) -> None:
        feed, controller = ledgers(server)
        feed.seen(TRAININGS, stored(training("clinic", "short"), 1, "a", {"phase": "Training"}))
        await controller.reconcile(LEDGER)
        assert server.stored is None, "nothing was scored yet"
        for version in (2, 3):
            feed.seen(TRAININGS, stored(training("clinic", "short"), version, "a", {**OVER, "runPath": str(version)}))
            await controller.reconcile(LEDGER)
        found = {"verdicts": [{"arm": "fast", "verdict": "Inferior"}], "completionTime": "2026-03-01T13:00:00Z"}
        for version, indicative in ((5, True), (6, False)):
            body = stored(comparison("clinic"), version, "b", {**found, "indicative": indicative})
            feed.seen(COMPARISONS, body)
            await controller.reconcile(LEDGER)
            assert server.total == (1 if indicative else 2), "a cross-validation looks at no test set"

    server = Server()
    run(scenario(server))
    assert server.writes == 2 and server.stored is not None
    assert [(one["kind"], one["name"], one["uid"]) for one in server.stored["status"]["looks"]] == [
        ("Training", "short", "a"),
        ("Comparison", "shorter", "b"),
    ]
    assert "ownerReferences" not in server.stored["metadata"], "it outlives what looked"

    async def restarted() -> None:
        feed, controller = ledgers(server)
        feed.seen(TEST_SETS, server.stored)
        feed.seen(TRAININGS, stored(training("clinic", "short"), 9, "a", OVER))
        await controller.reconcile(LEDGER)

    run(restarted())
    assert server.writes == 2, "what the ledger has is not counted again"


@pytest.mark.parametrize("refused", [403, 500])
def test_who_deletes_a_training_at_its_end_is_counted_all_the_same(refused: int) -> None:
    async def scenario(server: Server) -> None:
        feed, controller = ledgers(server)
        feed.seen(TRAININGS, stored(training("clinic", "short"), 2, "a", OVER))
        feed.gone(TRAININGS, Key("clinic", "short"), 3)
        if refused == 403:
            assert (await controller.reconcile(LEDGER)).requeue_after
        else:
            with pytest.raises(ApiError):
                await controller.reconcile(LEDGER)
        await controller.reconcile(LEDGER)

    server = Server(refused)
    run(scenario(server))
    assert server.total == 1


VERDICT = {
    "verdicts": [{"arm": "fast", "verdict": "Inferior"}],
    "completionTime": "2026-03-01T13:00:00Z",
    "indicative": False,
}


def elsewhere(number: int, namespace: str = "clinic") -> dict[str, Any]:
    """Return a ledger of another test set."""
    head = {"name": f"sha256-{number}", "namespace": namespace}
    return stored({"metadata": head, "spec": {"imagesHash": f"{number:064x}"}}, 1, "u", {"total": 1})


def looked(feed: Any, namespace: str = "clinic") -> None:
    """Have a training and a comparison look at the test set."""
    feed.seen(TRAININGS, stored(training(namespace, "short"), 2, "a", OVER))
    feed.seen(COMPARISONS, stored(comparison(namespace), 3, "b", VERDICT))


def test_looks_are_counted_anew_when_their_ledger_is_deleted() -> None:
    async def scenario(server: Server) -> None:
        feed, controller = ledgers(server)
        looked(feed)
        await controller.reconcile(LEDGER)
        assert server.total == 2 and feed.cache[TEST_SETS].get(LEDGER)
        feed.seen(
            TRAININGS, stored(training("clinic", "other"), 4, "c", {**OVER, "results": {"testSetHash": "8" * 64}})
        )
        feed.seen(TEST_SETS, elsewhere(1))
        await controller.reconcile(LEDGER)
        server.stored = None
        feed.gone(TEST_SETS, LEDGER, 200)
        await controller.reconcile(LEDGER)
        assert server.total == 2
        feed.gone(TRAININGS, Key("clinic", "short"), 201)
        server.stored = None
        feed.gone(TEST_SETS, LEDGER, 202)
        await controller.reconcile(LEDGER)
        assert server.stored is None, "nothing tells any more which test set the comparison looked at"

    run(scenario(Server()))


def test_above_the_most_ledgers_there_is_none_and_that_is_said() -> None:
    async def scenario(server: Server) -> None:
        feed, controller = ledgers(server)
        for number in range(MAX_LEDGERS):
            feed.seen(TEST_SETS, elsewhere(number))
        looked(feed)
        await controller.reconcile(LEDGER)
        assert server.stored is None and feed.cache[TEST_SETS].get(LEDGER) is None
        told = {(one["involvedObject"]["kind"], one["type"], one["reason"]) for one in server.events}
        assert told == {(kind, "Warning", "LookNotCounted") for kind in ("NnunetTraining", "NnunetComparison")}
        assert "kubectl get nnts -n clinic" in server.events[0]["message"] and HASH in server.events[0]["message"]
        await controller.reconcile(LEDGER)
        assert len(server.events) == 2, "it is said once"
        feed.gone(TEST_SETS, Key("clinic", "sha256-0"), 300)
        await controller.reconcile(LEDGER)
        assert server.total == 2, "there is room for it now"

    run(scenario(Server()))


def test_each_namespace_has_room_of_its_own_and_a_known_test_set_always_has() -> None:
    async def scenario(known: bool, namespace: str) -> int:
        server = Server()
        feed, controller = ledgers(server)
        for number in range(MAX_LEDGERS):
            feed.seen(TEST_SETS, elsewhere(number, namespace))
        if known:
            body = {"metadata": {"name": LEDGER.name}, "spec": {"imagesHash": HASH}}
            feed.seen(TEST_SETS, await server.create(TEST_SETS, "clinic", body))
        looked(feed)
        await controller.reconcile(LEDGER)
        return server.total

    assert run(scenario(True, "clinic")) == run(scenario(False, "elsewhere")) == 2


@pytest.mark.parametrize("hash_", [None, "", "../x", "7" * 63, "G" * 64, 7])
def test_what_is_no_hash_is_no_test_set(hash_: Any) -> None:
    body = stored(training("clinic"), 2, "a", {**OVER, "results": {"testSetHash": hash_}})
    assert summarize(body).look is None


def test_metrics_tell_of_those_that_were_looked_at_most() -> None:
    async def scenario() -> list[Any]:
        made, _ = parts(Server())
        for number in range(MAX_TEST_SETS + 1):
            name = {"name": f"sha256-{number}", "namespace": "clinic"}
            body = {"metadata": name, "spec": {"imagesHash": HASH}}
            made.feed.seen(TEST_SETS, stored(body, number + 1, "u", {"total": number}))
        return list(Known(made.feed.cache, made.policies).looks())

    rows = run(scenario())
    assert len(rows) == MAX_TEST_SETS and (("clinic", "sha256-0"), 0.0) not in rows
    assert rows[0] == (("clinic", f"sha256-{MAX_TEST_SETS}"), float(MAX_TEST_SETS))


def test_trainings_that_name_a_comparison_are_judged_again_once_a_ledger_counts() -> None:
    """A policy with maxTestLooks waits for it."""

    def ledger(version: int, total: int) -> dict[str, Any]:
        head = {"name": LEDGER.name, "namespace": LEDGER.namespace, "uid": "l", "resourceVersion": str(version)}
        return {"metadata": {**head, "generation": 1}, "spec": {"imagesHash": HASH}, "status": {"total": total}}

    async def scenario() -> list[list[Key]]:
        made, queue = parts()
        named = training("clinic", "short", comparison="shorter")
        for number, (body, uid) in enumerate([(named, "a"), (training("clinic", "other"), "b")]):
            made.feed.seen(TRAININGS, stored(body, number + 1, uid, {}))
        await drain(queue, "NnunetTraining")
        found = []
        for version, total in ((10, 0), (11, 1), (12, 2)):
            made.feed.seen(TEST_SETS, ledger(version, total))
            found.append(await drain(queue, "NnunetTraining"))
        return found

    assert run(scenario()) == [[Key("clinic", "short")], [Key("clinic", "short")], []]
