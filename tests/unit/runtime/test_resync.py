"""What no watch tells of is found by a full list, which may fail, be refused, or show that etcd was set back."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from nnunet_operator.metrics import Metrics
from nnunet_operator.runtime.client.resources import JOBS, NAMESPACES, PODS, POLICIES, TRAININGS, Resource
from nnunet_operator.runtime.errors import ApiError, Unreachable
from nnunet_operator.runtime.informers.resync import Resync
from nnunet_operator.runtime.keys import Key
from nnunet_operator.runtime.patience import USUAL
from tests.unit.runtime.clock import run
from tests.unit.runtime.make import drain, drain_all, parts

HIPPO = Key("clinic", "hippo")
LABELS = {"nnunet.dev/training": "hippo"}


def body(name: str, version: int = 1, namespace: str = "clinic", **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, "uid": f"u-{name}", "generation": 1, "resourceVersion": str(version), "labels": LABELS}
    return {"metadata": metadata | ({"namespace": namespace} if namespace else {}), "spec": {}, **fields}


class Server:
    """An API server with objects by kind, and errors by namespace."""

    def __init__(self, *trainings: dict[str, Any]) -> None:
        self.version = 1
        self.objects: dict[Resource, list[Any]] = {TRAININGS: list(trainings), JOBS: [body("hippo-verify")]}
        self.errors: dict[str, Exception | None] = {}
        self.failing: dict[Resource, BaseException] = {}
        self.asked: list[float] = []
        """When the policies were listed, with which each full list begins."""

    async def served(self, _: Any) -> bool:
        return True

    async def pages(
        self, resource: Resource, namespace: str = "", labels: str = ""
    ) -> AsyncIterator[tuple[list[Any], int]]:
        if resource is POLICIES:
            self.asked.append(asyncio.get_running_loop().time())
        for error in (self.failing.get(resource), self.errors.get(namespace)):
            if error:
                raise error
        items = self.objects.get(resource, [])
        at = self.version  # a snapshot
        shown = [item for item in items if namespace in ("", item["metadata"].get("namespace"))]
        for item in shown:
            yield [item], at
        if not shown:
            yield [], at


class Scene:
    """A full list's surroundings."""

    def __init__(self, server: Server, namespaces: tuple[str, ...] = ()) -> None:
        self.metrics = Metrics()
        made, self.queue = parts(server, metrics=self.metrics)
        self.feed, self.cache = made.feed, made.feed.cache
        self.restarts = 0
        self.resync = Resync(server, self.feed, namespaces, self.metrics, self._restart)  # type: ignore[arg-type]

    def _restart(self) -> None:
        self.restarts += 1

    async def looked_at(self) -> list[Key]:
        """Return the trainings that are due within a second."""
        return await drain(self.queue, TRAININGS.kind)

    def told(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"nnunet_operator_{name}", labels)


def after_first(
    server: Server, scenario: Callable[[Scene], Awaitable[None]], namespaces: tuple[str, ...] = ()
) -> Scene:
    """Run a scenario after the first lists, while full lists are made every 300 s."""
    scenes: list[Scene] = []

    async def going() -> None:
        scene = Scene(server, namespaces)
        scenes.append(scene)
        await scene.resync.first()
        await scene.looked_at()
        task = asyncio.create_task(scene.resync.run(300))
        await scenario(scene)
        assert not task.done()
        task.cancel()

    run(going())
    return scenes[0]


def test_what_goes_before_the_watches_have_begun_is_noticed_soon() -> None:
    server = Server(body("hippo"))

    async def scenario(scene: Scene) -> None:
        assert len(scene.cache[JOBS]) == 1
        server.objects[JOBS], server.version = [], 2
        await asyncio.sleep(USUAL.first_lists + 1)
        assert len(scene.cache[JOBS]) == 0
        assert await scene.looked_at() == [HIPPO]

    after_first(server, scenario)


def test_a_training_that_went_unseen_is_forgotten_by_a_look() -> None:
    server = Server(body("hippo"), body("knee"))

    async def scenario(scene: Scene) -> None:
        await asyncio.sleep(10)
        del server.objects[TRAININGS][0]
        server.version = 2
        await asyncio.sleep(300)
        assert await scene.looked_at() == [HIPPO]

    after_first(server, scenario)


def test_a_deletion_that_no_watch_told_of_has_the_policies_counted_anew() -> None:
    """Which say how many trainings they decided on."""
    decided = {"phase": "Training", "policy": {"decisions": [{"policy": "house", "outcome": "Denied"}]}}
    server = Server(body("hippo", status=decided), body("knee"))

    async def scenario(scene: Scene) -> None:
        await drain_all(scene.queue, 20)
        del server.objects[TRAININGS][0]
        server.version = 2
        assert [key.name for key in await drain(scene.queue, POLICIES.kind, 310)] == ["house"]

    after_first(server, scenario)


def test_what_a_list_that_fails_has_found_is_not_lost() -> None:
    server = Server(body("hippo"))

    async def scenario(scene: Scene) -> None:
        await asyncio.sleep(10)
        server.failing[PODS] = Unreachable("away")
        spec = {"mode": "Warn", "namespaces": ["clinic"], "rules": {}}
        server.objects[POLICIES] = [body("house", 2, "", **{"spec": spec})]
        server.version = 2
        scene.feed.doubt()
        await asyncio.sleep(20)
        assert await scene.looked_at() == []
        server.failing.clear()
        await asyncio.sleep(60)
        assert [request.key for request in await drain_all(scene.queue)] == [HIPPO, Key("", "house")]

    after_first(server, scenario)


@pytest.mark.parametrize(
    "error", [Unreachable("away"), ApiError(403, "no", "GET"), KeyError("items"), ValueError("no JSON")], ids=repr
)
def test_lists_that_fail_are_made_ever_less_often(error: Exception) -> None:
    server = Server(body("hippo"))

    async def scenario(scene: Scene) -> None:
        await asyncio.sleep(10)
        server.failing[JOBS] = error
        scene.feed.doubt()
        server.asked.clear()
        await asyncio.sleep(600)
        waits = [later - before for before, later in zip(server.asked, server.asked[1:], strict=False)]
        assert 8 <= len(waits) <= 25, waits
        assert all(1 <= wait <= 62 for wait in waits) and waits[0] < 5 and max(waits) > 30
        assert (scene.told("resyncs_total", result="error") or 0) >= 8
        server.failing.clear()
        await asyncio.sleep(70)
        assert scene.told("resyncs_total", result="ok") == 2

    after_first(server, scenario)


def test_the_first_lists_wait_as_long_as_they_are_asked_to() -> None:
    server = Server(body("hippo"))
    server.failing[JOBS] = Unreachable("too many requests", retry_after=45)

    async def scenario() -> None:
        scene = Scene(server)
        task = asyncio.create_task(scene.resync.first())
        await asyncio.sleep(44)
        assert server.asked == [0]
        server.failing.clear()
        await asyncio.sleep(2)
        assert scene.resync.synced
        await task

    run(scenario())


def test_a_history_that_is_replaced_between_the_first_lists_keeps_nobody_waiting() -> None:
    server = Server(body("hippo", 90))
    server.version = 100
    server.failing[PODS] = Unreachable("away")

    async def scenario() -> None:
        scene = Scene(server)
        task = asyncio.create_task(scene.resync.first())
        await asyncio.sleep(0.5)
        server.objects[TRAININGS], server.version = [body("hippo", 30)], 40
        server.failing.clear()
        await asyncio.sleep(5)
        assert scene.resync.synced and scene.cache[TRAININGS].version(HIPPO) == 30
        assert await scene.looked_at() == [HIPPO]
        await task

    run(scenario())


def test_a_namespace_that_is_refused_keeps_no_other_from_being_served(caplog: pytest.LogCaptureFixture) -> None:
    server = Server(body("hippo", namespace="a"), body("knee", namespace="b"))
    server.objects[NAMESPACES] = [body("a", 1, ""), body("b", 1, "")]
    server.errors["b"] = ApiError(403, "forbidden", "GET b")

    async def scenario(scene: Scene) -> None:
        assert scene.resync.synced and scene.cache[TRAININGS].keys() == [Key("a", "hippo")]
        assert scene.told("namespace_refused", namespace="b") == 1
        assert scene.told("namespace_refused", namespace="a") == 0
        server.errors.clear()
        await asyncio.sleep(10)
        assert await scene.looked_at() == [Key("b", "knee")]
        assert scene.told("namespace_refused", namespace="b") == 0
        # Refused anew: what is known stays, until the namespace is seen to be gone.
        server.errors["b"] = ApiError(404, "not found", "GET b")
        await asyncio.sleep(300)
        assert len(scene.cache[TRAININGS]) == 2
        del server.objects[NAMESPACES][1]
        server.version = 2
        await asyncio.sleep(300)
        assert scene.cache[TRAININGS].keys() == [Key("a", "hippo")]
        assert Key("b", "knee") in await scene.looked_at()
        assert scene.told("resyncs_total", result="error") == 0

    after_first(server, scenario, ("a", "b"))
    assert "watched namespace b is not served" in caplog.text


@pytest.mark.parametrize("namespaces", [(), ("b",), ("a", "b")])
def test_where_nothing_can_be_listed_the_operator_is_not_ready(namespaces: tuple[str, ...]) -> None:
    server = Server(body("hippo", namespace="a"))
    server.errors = {namespace: ApiError(403, "forbidden", "GET") for namespace in namespaces or ("",)}

    async def scenario() -> None:
        scene = Scene(server, namespaces)
        task = asyncio.create_task(scene.resync.first())
        await asyncio.sleep(120)
        assert not scene.resync.synced
        server.errors.clear()
        await asyncio.sleep(16)
        assert scene.resync.synced
        await task

    run(scenario())


@pytest.mark.parametrize("version", [40, 200], ids=["far behind", "caught up"])
def test_a_history_that_was_replaced_is_noticed_and_all_is_read_anew(
    version: int, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server(body("hippo", 90), body("ghost", 95))
    server.version = 100

    async def scenario(scene: Scene) -> None:
        await asyncio.sleep(10)
        server.objects[TRAININGS], server.version = [body("hippo", 30)], version
        server.objects[JOBS] = [body("hippo-plan", 31)]
        server.failing[PODS] = Unreachable("away")  # it may last until all can be read
        scene.feed.doubt()
        await asyncio.sleep(20)
        assert scene.cache[TRAININGS].version(HIPPO) == 90 and scene.restarts == 0
        server.failing.clear()
        await asyncio.sleep(70)
        assert scene.cache[TRAININGS].keys() == [HIPPO] and scene.cache[TRAININGS].version(HIPPO) == 30
        assert scene.cache[JOBS].keys() == [Key("clinic", "hippo-plan")]
        assert (scene.restarts, scene.told("cache_rebuilds_total")) == (1, 1)
        assert await scene.looked_at() == [Key("clinic", "ghost"), HIPPO]
        await asyncio.sleep(300)
        assert scene.restarts == 1  # once, and no more

    after_first(server, scenario)
    assert any(record.levelname == "ERROR" and "set back" in record.getMessage() for record in caplog.records)


def test_histories_that_differ_again_and_again_are_read_anew_ever_less_often() -> None:
    """As behind an address that leads to API servers with different storages."""
    server = Server(body("hippo", 90))
    server.version = 100

    async def scenario(scene: Scene) -> None:
        await asyncio.sleep(10)
        rebuilt: list[float] = []
        for second in range(3600):
            server.version = 40 if second // 7 % 2 else 100
            server.objects[TRAININGS] = [body("hippo", 30 if server.version == 40 else 90)]
            scene.feed.doubt()
            before = scene.restarts
            await asyncio.sleep(1)
            if scene.restarts > before:
                rebuilt.append(asyncio.get_running_loop().time())
        waits = [later - earlier for earlier, later in itertools.pairwise(rebuilt)]
        assert 6 <= len(rebuilt) <= 16 and min(waits) >= 15 and waits[-1] > 250, waits
        assert (scene.told("resyncs_total", result="error") or 0) > 0

    after_first(server, scenario)


def test_an_object_that_can_not_be_read_is_left_out() -> None:
    odd = body("odd", status={"completionTime": "yesterday"})
    server = Server(odd, body("hippo"))

    async def scenario(scene: Scene) -> None:
        assert scene.cache[TRAININGS].keys() == [HIPPO]

    after_first(server, scenario)
