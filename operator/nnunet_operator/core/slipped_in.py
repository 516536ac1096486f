"""What others have put into the pods of a run: kept in its status for good, as its result rests on it."""

from collections.abc import Iterable, Mapping

from nnunet_api.slipped_in import MORE, image_in, shown
from nnunet_api.status import MAX_SLIPPED_IN, MAX_SLIPPED_INTO, NnunetTrainingStatus, Provenance, SlippedIn
from nnunet_operator.core.observation import Observation
from nnunet_operator.core.rounding import harmless

_WHAT = 1024


def record(before: Provenance | None, seen: Iterable[Observation]) -> list[SlippedIn]:
    """Return what is known of it: what the status says, and what is seen now."""
    return _recorded(_all(before, seen))


def to_judge(before: Provenance | None, seen: Iterable[Observation]) -> list[str]:
    """Return what policies judge: all that the status keeps of it, and all that it has no room for."""
    known = _all(before, seen)
    found = dict.fromkeys((*known, *(one.what for one in _recorded(known))))
    return sorted(found, key=lambda what: what == MORE)


def _recorded(known: Mapping[str, list[str]]) -> list[SlippedIn]:
    more = known.get(MORE)
    # Images first: what is lost of the rest counts as if no rule allowed it, whatever it was.
    names = sorted((name for name in known if name != MORE), key=lambda what: not image_in(what))
    if more is None and len(names) <= MAX_SLIPPED_IN:
        return [SlippedIn(what=name, where=known[name]) for name in names]
    kept, lost = names[: MAX_SLIPPED_IN - 1], names[MAX_SLIPPED_IN - 1 :]
    where = dict.fromkeys((*(more or ()), *(child for name in lost for child in known[name])))
    told = [SlippedIn(what=name, where=known[name]) for name in kept]
    return [*told, SlippedIn(what=MORE, where=list(where)[:MAX_SLIPPED_INTO])]


def _all(before: Provenance | None, seen: Iterable[Observation]) -> dict[str, list[str]]:
    """Return whose pods have had each thing."""
    known = {one.what: list(one.where) for one in (before.slipped_in if before else None) or ()}
    for observation in seen:
        for what in observation.slipped_in:
            where = known.setdefault(harmless(what)[:_WHAT], [])
            if observation.child.subject not in where and len(where) < MAX_SLIPPED_INTO:
                where.append(observation.child.subject)
    return known


def told(status: NnunetTrainingStatus) -> str:
    """Return it in words; empty where nothing was put in."""
    known = (status.provenance.slipped_in if status.provenance else None) or ()
    if not known:
        return ""
    where = list(dict.fromkeys(child for one in known for child in one.where))
    return (
        f"pods of {shown(where)} have run with {shown(one.what for one in known)}, which the operator has not given to "
        "them and by which they can run other code than their image's"
    )
