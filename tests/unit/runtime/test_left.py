"""What is gone is told of once, and not before all that it says is known."""

from nnunet_operator.kube.objects import Manifest
from nnunet_operator.runtime.client.resources import JOBS, PODS
from nnunet_operator.runtime.controllers.left import forget_left, with_left
from nnunet_operator.runtime.controllers.registry import INFORMERS
from nnunet_operator.runtime.informers.informer import Cache
from nnunet_operator.runtime.informers.store import key_of
from nnunet_operator.runtime.keys import Key
from tests.support.made_trainings import training
from tests.support.made_worlds import COMPLETE, VERIFY, ended, running
from tests.support.made_worlds import job as made_job

GROUP = Key("clinic", "hippo")


def stored(body: Manifest, version: int) -> Manifest:
    body["metadata"] |= {"namespace": "clinic", "resourceVersion": str(version)}
    return body


def test_a_pod_whose_end_is_told_after_that_of_its_job_is_heard() -> None:
    cache = Cache(INFORMERS)
    job = stored(made_job(training(), VERIFY, conditions=[COMPLETE]), 5)
    cache[JOBS].put(job)
    cache[PODS].put(stored(running(job), 4))
    cache[JOBS].remove(key_of(job), 7)
    jobs, pods = with_left(cache, GROUP, lambda _: False)
    assert [one.deleting for one in jobs] == [True] and not pods[0].over
    assert not forget_left(cache, GROUP, jobs, pods), "its pod has not been heard yet"
    over = stored(ended(job, 0, "proven"), 6)
    cache[PODS].put(over)
    cache[PODS].remove(key_of(over), 8)
    jobs, pods = with_left(cache, GROUP, lambda _: False)
    assert [one.termination.message for one in pods if one.termination] == ["proven"]
    assert forget_left(cache, GROUP, jobs, pods)
    assert with_left(cache, GROUP, lambda _: False) == ((), ())


def test_what_we_have_deleted_ourselves_does_not_count() -> None:
    cache = Cache(INFORMERS)
    job = stored(made_job(training(), VERIFY, conditions=[COMPLETE]), 5)
    cache[JOBS].put(job)
    cache[JOBS].remove(key_of(job), 7)
    assert with_left(cache, GROUP, lambda uid: uid == job["metadata"]["uid"]) == ((), ())
