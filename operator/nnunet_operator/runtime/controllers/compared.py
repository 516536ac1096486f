"""The comparison that a training names, with what its verdict rests on."""

from nnunet_api.policy.evidence import Compared, Trained
from nnunet_operator.core.comparison.model import Comparison
from nnunet_operator.core.training import Training
from nnunet_operator.runtime.client.resources import COMPARISONS, TEST_SETS, TRAININGS
from nnunet_operator.runtime.comparison import parse_comparison, training_of_arm
from nnunet_operator.runtime.informers.informer import Cache
from nnunet_operator.runtime.keys import Key
from nnunet_operator.runtime.summary import TestSetSummary
from nnunet_operator.runtime.training import InvalidSpecError


def compared_of(training: Training, cache: Cache) -> Compared | None:
    """Return the comparison that a training names; None where it names none, or that is not there or can't be read."""
    if training.spec.comparison is None:
        return None
    body = cache[COMPARISONS].get(Key(training.namespace, training.spec.comparison))
    if body is None:
        return None
    try:
        found = parse_comparison(body)
    except (InvalidSpecError, ValueError):
        return None
    registered = found.status.registration.trainings if found.status.registration else []
    trainings = {one.name: trained for one in registered if (trained := _trained(found, one.name, cache))}
    totals = _totals(training, cache)
    return Compared(
        found.uid,
        found.spec,
        found.status,
        trainings,
        looks=sum(total for _, total in totals),
        looks_here=_in_namespace(training, totals),
    )


def looks_at(training: Training, cache: Cache) -> int | None:
    """Return how often the test set of a training has been looked at in its namespace; None where it has none."""
    if not (training.status.results and training.status.results.test_set_hash):
        return None
    return _in_namespace(training, _totals(training, cache))


def _in_namespace(training: Training, totals: list[tuple[str, int]]) -> int:
    return sum(total for namespace, total in totals if namespace == training.namespace)


def _totals(training: Training, cache: Cache) -> list[tuple[str, int]]:
    """Return how often a training's test set has been looked at, by namespace."""
    images_hash = training.status.results.test_set_hash if training.status.results else None
    known: list[tuple[Key, TestSetSummary]] = list(cache[TEST_SETS].summaries()) if images_hash else []
    return [(key.namespace, summary.total) for key, summary in known if summary.images_hash == images_hash]


def _trained(comparison: Comparison, name: str, cache: Cache) -> Trained | None:
    body = cache[TRAININGS].get(Key(comparison.namespace, name))
    found = training_of_arm(body, comparison) if body else None
    return Trained(found.name, found.uid, found.spec, found.status) if isinstance(found, Training) else None
