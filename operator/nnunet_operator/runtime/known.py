"""What the metrics tell of trainings and policies whenever somebody asks."""

from collections import Counter
from collections.abc import Iterator, Mapping
from heapq import nlargest

from nnunet_operator.metrics import Row
from nnunet_operator.runtime.client.resources import COMPARISONS, TEST_SETS, TRAININGS
from nnunet_operator.runtime.controllers.policy_cache import PolicyCache
from nnunet_operator.runtime.informers.informer import Cache
from nnunet_operator.runtime.informers.store import Store
from nnunet_operator.runtime.summary import ComparisonSummary, Summary, TestSetSummary

MAX_TEST_SETS = 500
"""Test sets that metrics tell of: anyone who trains may have as many as they like."""


class Known:
    """`metrics.Known` from the cache."""

    def __init__(self, cache: Cache, policies: PolicyCache) -> None:
        self._trainings: Store[Summary] = cache[TRAININGS]
        self._comparisons: Store[ComparisonSummary] = cache[COMPARISONS]
        self._test_sets: Store[TestSetSummary] = cache[TEST_SETS]
        self._policies = policies

    def counts(self) -> Mapping[str, int]:
        """Return the number of trainings by phase."""
        return Counter(summary.phase for _, summary in self._trainings.summaries())

    def phases(self) -> Iterator[Row]:
        """Yield namespace, name and phase of each training, with 1."""
        return (((*key, summary.phase), 1.0) for key, summary in self._trainings.summaries())

    def failed(self) -> Iterator[Row]:
        """Yield namespace, name and reason of each training that failed, with 1."""
        return (((*key, summary.failed), 1.0) for key, summary in self._trainings.summaries() if summary.failed)

    def figures(self, name: str) -> Iterator[Row]:
        """Yield namespace and name of each training of which this is known, with its value."""
        for key, summary in self._trainings.summaries():
            if (value := summary.figures.get(name)) is not None:
                yield tuple(key), value

    def excepted(self) -> Iterator[Row]:
        """Yield namespace and name of each training that ran under an exception at any time, with 1."""
        return ((tuple(key), 1.0) for key, summary in self._trainings.summaries() if summary.excepted)

    def exceptions(self) -> Iterator[Row]:
        """Yield policy, namespace and training of each exception, with the Unix time of its end."""
        for policy in self._policies.policies().readable:
            for exception in policy.spec.exceptions:
                yield (policy.name, exception.namespace, exception.name), exception.expires_at.timestamp()

    def comparisons(self) -> Iterator[Row]:
        """Yield namespace, name and phase of each comparison, with 1."""
        return (((*key, summary.phase), 1.0) for key, summary in self._comparisons.summaries())

    def verdicts(self) -> Iterator[Row]:
        """Yield namespace, comparison, arm and verdict of each arm that was compared, with its difference of Dice."""
        for key, summary in self._comparisons.summaries():
            for one in summary.verdicts:
                yield (*key, one.arm, one.verdict), one.difference

    def interval_ends(self, upper: bool) -> Iterator[Row]:
        """Yield namespace, comparison and arm of each arm that was compared, with an end of its interval."""
        for key, summary in self._comparisons.summaries():
            for one in summary.verdicts:
                yield (*key, one.arm), one.high if upper else one.low

    def arms(self) -> Iterator[Row]:
        """Yield namespace, comparison, arm and training of each training of an arm, with the place of the arm."""
        for key, summary in self._comparisons.summaries():
            for place, (arm, trainings) in enumerate(summary.arms, 1):
                yield from (((*key, arm, training), float(place)) for training in trainings)

    def looks(self) -> Iterator[Row]:
        """Yield namespace and name of the test sets that were looked at most, with how often they were."""
        found = nlargest(MAX_TEST_SETS, self._test_sets.summaries(), key=lambda one: (one[1].total, one[0]))
        return ((tuple(key), float(summary.total)) for key, summary in found)

    def most_looks(self) -> Iterator[Row]:
        """Yield each policy that bounds how often a test set may be looked at, with the bound."""
        for policy in self._policies.policies().readable:
            if policy.spec.rules.max_test_looks is not None:
                yield (policy.name,), float(policy.spec.rules.max_test_looks)
