"""The training whose weights another one begins with."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from nnunet_operator.core.training import Training
from nnunet_operator.runtime.client.resources import TRAININGS
from nnunet_operator.runtime.informers.informer import Cache
from nnunet_operator.runtime.informers.store import Change
from nnunet_operator.runtime.keys import Key
from nnunet_operator.runtime.summary import Summary
from nnunet_operator.runtime.training import InvalidSpecError, parse_status, parse_training


def with_weights_from(training: Training, cache: Cache) -> Training:
    """Return a training with the one that spec.initialWeights names, as far as that is there and can be read."""
    wanted = training.spec.initial_weights
    if wanted is None or wanted.training is None:
        return training
    body = cache[TRAININGS].get(Key(training.namespace, wanted.training.name))
    try:
        return replace(training, weights_from=parse_training(body, parse_status(body)) if body else None)
    except (InvalidSpecError, ValueError):
        return replace(training, weights_from_unreadable=True)


def waiting_for_weights(cache: Cache, changes: Sequence[Change[Summary]]) -> Iterator[Key]:
    """Yield the trainings that begin with the weights of one that is new, gone, or in another phase."""
    changed = {change.key for change in changes if _phase(change.before) != _phase(change.after)}
    summaries: list[tuple[Key, Summary]] = list(cache[TRAININGS].summaries()) if changed else []
    for key, summary in summaries:
        if summary.weights_from and Key(key.namespace, summary.weights_from) in changed:
            yield key


def _phase(summary: Summary | None) -> str:
    return summary.phase if summary else ""
