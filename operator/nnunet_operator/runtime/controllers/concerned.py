"""Which trainings the changes of other kinds are a reason to look at."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from nnunet_operator.kube.views import JobView
from nnunet_operator.runtime.client.resources import JOBS, TRAININGS
from nnunet_operator.runtime.informers.informer import Cache
from nnunet_operator.runtime.informers.store import Change
from nnunet_operator.runtime.keys import Key
from nnunet_operator.runtime.summary import ComparisonSummary, TestSetSummary


def owners(cache: Cache, changes: Sequence[Change[Any]]) -> Iterator[Key]:
    """Yield the trainings that Jobs and Pods belong to: one for each, save for a collision of hashes."""
    for group in {change.group for change in changes}:
        yield from cache[TRAININGS].keys_of(group)


def owners_of_leaving(cache: Cache, changes: Sequence[Change[Any]]) -> Iterator[Key]:
    """Yield the trainings of Jobs that have ended and are being deleted: soon nobody can read what they came to."""
    yield from owners(cache, leaving(cache, changes))


def leaving(cache: Cache, changes: Sequence[Change[Any]]) -> list[Change[Any]]:
    """Return the changes of Jobs that have ended and are being deleted."""
    return [change for change in changes if is_leaving(cache[JOBS].get(change.key))]


def is_leaving(job: JobView | None) -> bool:
    """Tell whether a Job has ended and is being deleted."""
    return job is not None and job.ended and job.deleting


def all_where_it_differs(cache: Cache, changes: Sequence[Change[Any]]) -> Iterable[Key]:
    """Return all trainings where the spec of a policy is another one: not for its status, which we write."""
    return cache[TRAININGS].keys() if any(change.differs for change in changes) else ()


def those_inside(cache: Cache, changes: Sequence[Change[Any]]) -> Iterable[Key]:
    """Return the trainings in namespaces whose labels, as far as policies may select by them, are others."""
    changed = {change.key.name for change in changes if change.differs}
    keys = cache[TRAININGS].keys()
    return [key for key in keys if key.namespace in changed]


def arms(cache: Cache, changes: Sequence[Change[ComparisonSummary]]) -> Iterator[Key]:
    """Yield the trainings of comparisons that are new, gone or further: policies may ask for their verdict."""
    known = set(cache[TRAININGS].keys())
    for change in changes:
        if change.differs:
            names = {name for summary in (change.before, change.after) if summary for name in summary.trainings}
            yield from (key for name in sorted(names) if (key := Key(change.key.namespace, name)) in known)


def waiting_for_a_ledger(cache: Cache, changes: Sequence[Change[TestSetSummary]]) -> Iterator[Key]:
    """Yield the trainings that name a comparison, where a ledger begins to count: a policy may have waited for it."""
    begun = [change for change in changes if change.after and not (change.before and change.before.total)]
    places = {change.key.namespace for change in begun}
    for key in cache[TRAININGS].keys() if places else ():
        body = cache[TRAININGS].get(key) if key.namespace in places else None
        if body and (body.get("spec") or {}).get("comparison"):
            yield key
