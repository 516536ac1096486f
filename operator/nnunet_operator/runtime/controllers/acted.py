"""What became of the actions of one reconcile of a training."""

from dataclasses import dataclass

from nnunet_operator.core.decision import Action, Start, Stop
from nnunet_operator.kube.views import JobView
from nnunet_operator.runtime.errors import ApiError, Unreachable


@dataclass
class Acted:
    """What became of the actions."""

    created: bool = False
    taken: tuple[JobView, ...] = ()
    """Jobs of somebody else under names that the training needs."""
    refusals: tuple[tuple[str, str], ...] = ()
    """Names of Jobs that the API server did not create, and what it said."""
    kept: tuple[tuple[str, str], ...] = ()
    """Names of Jobs that the API server did not delete, and what it said."""
    failure: ApiError | Unreachable | None = None
    """The first failure after which all has to be tried again."""

    def note(self, action: Action, error: ApiError | Unreachable, lasts: bool) -> None:
        """Note what keeps a Job from being made or deleted, which is tried again soon; of a moment nothing is said."""
        said = said_by(error)
        if not said or not (error.refused or lasts):
            return
        if isinstance(action, Start):
            self.refusals += ((action.child.name, said),)
        elif isinstance(action, Stop):
            self.kept += ((action.child.name, said),)


def said_by(error: ApiError | Unreachable) -> str:
    """Return the API server's own words; empty where it did not answer."""
    return error.message if isinstance(error, ApiError) else error.said or ""


def answers(error: ApiError | Unreachable) -> bool:
    """Return True if the API server answers, and does not ask to be left alone."""
    return isinstance(error, ApiError) or (error.said is not None and error.retry_after is None)
