"""What others have put into the pods of a run: kept in its status for good, as its result rests on it."""

from collections.abc import Iterable

from nnunet_api.slipped_in import shown
from nnunet_api.status import MAX_SLIPPED_IN, MAX_SLIPPED_INTO, NnunetTrainingStatus, Provenance, SlippedIn
from nnunet_operator.core.observation import Observation
from nnunet_operator.core.rounding import harmless

_WHAT = 1024


def record(before: Provenance | None, seen: Iterable[Observation]) -> list[SlippedIn]:
    """Return what is known of it: what the status says, and what is seen now."""
    known = {one.what: list(one.where) for one in (before.slipped_in if before else None) or ()}
    for observation in seen:
        for what in observation.slipped_in:
            name = harmless(what)[:_WHAT]
            if name not in known and len(known) >= MAX_SLIPPED_IN:
                continue
            where = known.setdefault(name, [])
            if observation.child.subject not in where and len(where) < MAX_SLIPPED_INTO:
                where.append(observation.child.subject)
    return [SlippedIn(what=what, where=where) for what, where in known.items()]


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
