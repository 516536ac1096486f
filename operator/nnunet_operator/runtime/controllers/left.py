"""Jobs that had ended, and their pods, which somebody else has deleted since the last look: what they came to counts.

A rule that deletes Jobs at their end may be quicker than a look. Each is told of once, and forgotten then.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace

from nnunet_operator.kube.views import JobView, PodView
from nnunet_operator.runtime.client.resources import JOBS, PODS
from nnunet_operator.runtime.informers.informer import Cache
from nnunet_operator.runtime.keys import Key


def with_left(
    cache: Cache, group: Key, has_deleted: Callable[[str], bool]
) -> tuple[tuple[JobView, ...], tuple[PodView, ...]]:
    """Return the Jobs and pods of a group, with those that are gone. `has_deleted` tells of a UID that we did it."""
    gone = [replace(job, deleting=True) for job in cache[JOBS].left(group) if not has_deleted(job.uid)]
    jobs: tuple[JobView, ...] = (*cache[JOBS].of(group), *gone)
    return jobs, (*cache[PODS].of(group), *_pods_left(cache, group, jobs))


def _pods_left(cache: Cache, group: Key, jobs: Iterable[JobView]) -> Iterator[PodView]:
    """Yield the pods that are gone of Jobs that have ended: they say what these came to."""
    ended = {job.uid for job in jobs if job.ended}
    return (pod for pod in cache[PODS].left(group) if pod.owner.uid in ended)


def forget_left(cache: Cache, group: Key, jobs: Iterable[JobView], pods: Collection[PodView]) -> bool:
    """Forget what is gone and has been told of; return whether that changes which Jobs are seen.

    Where the watch of Jobs is ahead of that of pods, what a pod has said is told of at the next look.
    """
    unheard = {pod.owner.uid for pod in pods if not pod.over}
    ended = {job.uid: Key(group.namespace, job.name) for job in jobs if job.ended and job.uid not in unheard}
    cache[PODS].forget_left(group, [Key(group.namespace, pod.name) for pod in pods if pod.owner.uid in ended])
    return cache[JOBS].forget_left(group, ended.values())
