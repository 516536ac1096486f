"""The trainings that a comparison makes from its template: which are missing, in the way, or to be suspended."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from nnunet_api.comparison.stated import Specs
from nnunet_api.comparison.template import is_made_from
from nnunet_api.reasons import ConditionType
from nnunet_operator.core.comparison.decision import Seen
from nnunet_operator.core.comparison.model import Comparison, Make, SetSuspend, Stranger, Trainings
from nnunet_operator.core.training import Training


def without_strangers(seen: Seen, specs: Specs) -> Seen:
    """Return what was seen, with those for strangers that have a name of ours and compute something else."""
    checked = {
        name: Stranger("it is not what template and patch make")
        if name in specs and isinstance(one, Training) and not is_made_from(one.spec, specs[name])
        else one
        for name, one in seen.trainings.items()
    }
    return replace(seen, trainings=checked)


def in_the_way(comparison: Comparison, trainings: Trainings) -> str:
    """Return which trainings have names that the comparison needs, in words; "" for none."""
    found = [(name, one.why) for name in comparison.made_names if isinstance(one := trainings.get(name), Stranger)]
    said = "; ".join(
        f"training {name} is there already and was not made by this comparison ({why})" for name, why in found
    )
    return f"{said}: delete it, or give the comparison another name" if said else ""


def missing(comparison: Comparison, trainings: Trainings, specs: Specs) -> Make | None:
    """Return the trainings to create; None for none, and as long as one that an arm refers to is not there.

    That one may be such that nothing can be compared with it: before it is known no GPU is used.
    """
    absent = {name: spec for name, spec in specs.items() if name not in trainings}
    referred = [name for name in comparison.spec.training_names if name not in specs]
    if not absent or any(name not in trainings for name in referred):
        return None
    return Make(absent)


def to_suspend(comparison: Comparison, trainings: Trainings, suspend: bool) -> tuple[SetSuspend, ...]:
    """Return which trainings to suspend, or to resume: of those that it has made all but what is complete."""
    return tuple(
        SetSuspend(one.name, one.uid, suspend)
        for one in _made(comparison, trainings)
        if one.spec.suspend != suspend and not one.deleting and not one.status.holds(ConditionType.COMPLETE)
    )


def going_on(comparison: Comparison, trainings: Trainings) -> list[str]:
    """Return the names of the trainings that the comparison has made and that go on by themselves."""
    over = (ConditionType.COMPLETE, ConditionType.FAILED)
    return [
        one.name
        for one in _made(comparison, trainings)
        if not (one.deleting or one.spec.suspend or any(map(one.status.holds, over)))
    ]


def not_set_words(refused: Mapping[str, str], done: str) -> str:
    """Return which trainings can't be suspended, or resumed (`done`), in the words of the API server."""
    said = "; ".join(f"training {name} can't be {done}: {words}" for name, words in sorted(refused.items()))
    return f"{said}. It is tried again every minute"


def _made(comparison: Comparison, trainings: Trainings) -> Iterator[Training]:
    for name in comparison.made_names:
        if isinstance(one := trainings.get(name), Training):
            yield one
