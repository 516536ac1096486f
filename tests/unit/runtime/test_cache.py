"""The cache: newer wins, whichever way it comes, and little is kept."""

from typing import Any

import pytest

from nnunet_operator.runtime.client.resources import JOBS, TRAININGS
from nnunet_operator.runtime.controllers.registry import INFORMERS
from nnunet_operator.runtime.informers.groups import group_of
from nnunet_operator.runtime.informers.informer import Cache
from nnunet_operator.runtime.informers.store import Store, key_of, version_of
from nnunet_operator.runtime.keys import Key

KEY = Key("clinic", "hippo-plan")
GROUP = Key("clinic", "hippo")


def job(version: int, name: str = "hippo-plan", uid: str = "u1", **body: Any) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": "clinic",
        "uid": uid,
        "resourceVersion": str(version),
        "labels": {"nnunet.dev/training": "hippo", "other": "x"},
        "managedFields": [{"manager": "kubectl"}],
    }
    return {"metadata": metadata, **body}


def replay(*steps: tuple[str, Any]) -> Store[Any]:
    """Return the Jobs after puts, removals and full lists."""
    store = Cache(INFORMERS)[JOBS]
    for step, argument in steps:
        if step == "list":
            version, bodies = argument
            for body in bodies:
                store.put(body)
            store.retain([Key("clinic", body["metadata"]["name"]) for body in bodies], version)
        elif step == "remove":
            store.remove(key_of(argument), version_of(argument))
        else:
            store.put(argument)
    return store


@pytest.mark.parametrize(
    ("steps", "version"),
    [
        pytest.param([("put", job(2)), ("put", job(3))], "3", id="newer"),
        pytest.param([("put", job(3)), ("put", job(2))], "3", id="an older event is late"),
        pytest.param([("put", job(2)), ("remove", job(3))], None, id="gone"),
        pytest.param([("put", job(2)), ("remove", job(3)), ("put", job(2))], None, id="our answer after the event"),
        pytest.param([("put", job(5, uid="u2")), ("remove", job(3))], "5", id="removal of its predecessor"),
        pytest.param([("put", job(2)), ("list", (4, []))], None, id="a ghost"),
        pytest.param([("put", job(6)), ("list", (4, []))], "6", id="newer than the list"),
        pytest.param([("remove", job(6)), ("list", (4, [job(2)]))], None, id="removed while it was listed"),
        pytest.param([("remove", job(6)), ("list", (8, [job(7, uid="u2")]))], "7", id="made anew"),
        pytest.param([("list", (8, [job(2)]))], "2", id="listed"),
    ],
)
def test_the_newest_wins(steps: list[tuple[str, Any]], version: str | None) -> None:
    found = replay(*steps).get(KEY)
    assert (found.version if found else None) == version


@pytest.mark.parametrize(
    ("steps", "listed", "version", "proof"),
    [
        pytest.param([], {}, 0, "", id="nothing is known"),
        pytest.param([("put", job(5))], {KEY: 5}, 5, "", id="all the same"),
        pytest.param([("put", job(5))], {}, 5, "", id="gone"),
        pytest.param([("put", job(5))], {KEY: 9}, 12, "", id="changed"),
        pytest.param([("put", job(5))], {KEY: 3}, 4, "is at version 4, after 5 was seen", id="set back"),
        pytest.param([("put", job(5))], {}, 4, "is at version 4, after 5 was seen", id="set back to before it was"),
        pytest.param([("list", (8, []))], {}, 7, "is at version 7, after 8 was seen", id="the list was newer"),
        pytest.param([("remove", job(8))], {}, 7, "is at version 7, after 8 was seen", id="the end was newer"),
        pytest.param([("put", job(5))], {KEY: 3}, 9, "shows clinic/hippo-plan at version 3, after 5", id="caught up"),
        pytest.param([("remove", job(5))], {KEY: 3}, 9, "shows clinic/hippo-plan at version 3, after 5", id="is back"),
        pytest.param([("remove", job(5))], {KEY: 7}, 9, "", id="made anew"),
        pytest.param([("remove", job(5))], {KEY: 5}, 9, "", id="a removal of unknown version"),
    ],
)
def test_a_list_may_disprove_what_is_known(
    steps: list[tuple[str, Any]], listed: dict[Key, int], version: int, proof: str
) -> None:
    store = replay(*steps)
    found = store.disproof(listed, version, store.newest)
    assert found.startswith(proof) and bool(found) == bool(proof)


def test_what_a_watch_tells_while_a_list_is_read_proves_nothing() -> None:
    store = replay(("put", job(5)))
    before = store.newest
    store.put(job(9))  # the list is a snapshot at 7
    store.remove(Key("clinic", "hippo-fold-0"), 11)
    assert store.disproof({KEY: 5, Key("clinic", "hippo-fold-0"): 6}, 7, before) == ""


def test_a_cache_is_replaced_at_once() -> None:
    cache, fresh = Cache(INFORMERS), Cache(INFORMERS)
    cache[TRAININGS].put(job(50, name="ghost"))
    cache[JOBS].put(job(60))
    cache[JOBS].remove(Key("clinic", "hippo-fold-0"), 70)
    fresh[TRAININGS].put(job(2, name="old"))
    fresh[JOBS].put(job(3))
    fresh[JOBS].retain([KEY], 4)
    revision = cache[JOBS].revision
    changes = cache.replace_by(fresh)[TRAININGS]
    assert [(change.key.name, bool(change.before), bool(change.after)) for change in changes] == [
        ("ghost", True, False),
        ("old", False, True),
    ]
    assert cache[TRAININGS].keys() == [Key("clinic", "old")]
    assert cache[JOBS].version(KEY) == 3 and cache[JOBS].newest == 4 and cache[JOBS].revision > revision
    assert cache[JOBS].put(job(6, name="hippo-fold-0"))  # its end was of the other history
    assert cache[JOBS].put(job(5)) and len(cache[JOBS].of(GROUP)) == 2


def test_what_did_not_change_is_no_news() -> None:
    store = Cache(INFORMERS)[JOBS]
    assert store.put(job(2))
    assert not store.put(job(2))


def test_objects_are_found_by_the_training_and_lose_what_nobody_reads() -> None:
    store = replay(("put", job(2)), ("put", job(3, name="hippo-fold-0")))
    assert [job.name for job in store.of(GROUP)] == ["hippo-fold-0", "hippo-plan"]
    assert store.of(Key("elsewhere", "hippo")) == ()
    cache = Cache(INFORMERS)
    cache[TRAININGS].put(job(2))
    metadata = cache[TRAININGS].get(KEY)["metadata"]
    assert "managedFields" not in metadata and metadata["labels"] == {"nnunet.dev/training": "hippo"}


def test_the_list_of_one_group_leaves_others_alone() -> None:
    store = replay(("put", job(2)))
    other = job(2, name="knee-plan")
    other["metadata"]["labels"] = {"nnunet.dev/training": "knee"}
    store.put(other)
    assert [(change.key, change.group) for change in store.retain([], 9, group=GROUP)] == [(KEY, GROUP)]
    assert store.get(KEY) is None and store.get(Key("clinic", "knee-plan"))


def test_a_long_name_is_found_by_its_label() -> None:
    name = "n" * 100
    cache = Cache(INFORMERS)
    body = job(1, name=name)
    cache[TRAININGS].put(body)
    assert cache[TRAININGS].keys_of(group_of(Key("clinic", name))) == [Key("clinic", name)]


def test_a_change_tells_what_was_and_what_is() -> None:
    store = Cache(INFORMERS)[TRAININGS]
    changes = [
        store.put(job(1, name="a")),
        store.put(job(2, name="a", status={"phase": "Training"})),
        store.put(job(3, name="a", status={"phase": "Training"}, spec={"retryLimit": 3})),
        store.remove(Key("clinic", "a"), 4),
    ]
    phases = [(c.before and c.before.phase, c.after and c.after.phase, c.differs) for c in changes if c]
    assert phases == [
        (None, "Pending", True),
        ("Pending", "Training", True),
        ("Training", "Training", False),
        ("Training", None, True),
    ]
    assert store.remove(Key("clinic", "a"), 5) is None


ENDED: dict[str, Any] = {"status": {"conditions": [{"type": "Complete", "status": "True"}]}}


def test_what_a_job_came_to_is_known_until_it_was_looked_at() -> None:
    steps: list[tuple[str, Any]] = [("remove", job(6, **ENDED)), ("list", (7, []))]
    for gone in steps:
        store = replay(("put", job(5, **ENDED)), gone)
        (left,) = store.left(GROUP)
        assert left.complete and store.get(KEY) is None and store.of(GROUP) == ()
        assert store.forget_left(GROUP, [KEY]) and not store.forget_left(GROUP, [KEY])
        assert store.left(GROUP) == ()
    assert replay(("put", job(5)), ("remove", job(6))).left(GROUP) == ()  # it came to nothing
    again = replay(("put", job(5, **ENDED)), ("remove", job(6, **ENDED)), ("put", job(7, uid="u2")))
    assert again.left(GROUP) == ()  # another has its name
    looked_late: list[tuple[str, Any]] = [("put", job(5, **ENDED)), ("remove", job(6, **ENDED)), ("list", (9, []))]
    assert len(replay(*looked_late).left(GROUP)) == 1, "a list may come between the end and the look"
    assert replay(*looked_late, ("list", (10, []))).left(GROUP) == ()
