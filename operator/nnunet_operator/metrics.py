"""The operator's own metrics, and what it knows of each training, also of those whose pods are gone.

Series that name a training go with it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from nnunet_api.reasons import Phase

_PREFIX = "nnunet_operator"
_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

FIGURES = {
    "creation_timestamp_seconds": "Unix time at which a training was created.",
    "stalled": "1 for a training of which a fold has not finished an epoch for too long, else 0.",
    "data_starved": "1 for a training of which a fold waits for data for too much of its time, else 0.",
    "epochs": "Finished epochs of a training, summed over its folds.",
    "epochs_target": "Epochs that a training's folds are trained for, summed; of one that stops early, until its stop.",
    "left_seconds": "Estimated time until the last epoch of a training's last fold, while it trains.",
    "held_gpu_seconds": "GPU-seconds that a training has held so far, lost ones included.",
    "lost_gpu_seconds": "GPU-seconds whose work was lost to interruptions.",
    "required_epochs": "Epochs that the policies ask of each fold of a training.",
    "proven_epochs": "Epochs that the final checkpoints prove, of the fold with the fewest, once it is over.",
    "completion_timestamp_seconds": "Unix time at which a training completed or failed.",
    "validation_dice": "Cross-validation Dice (0 to 1), or that of what was chosen by it, once a training is over.",
    "test_dice": "Mean foreground Dice (0 to 1) of the ensemble on the test set, once a training is over.",
}
"""What is told of a training until it is deleted, as far as it is known: name behind nnunet_training_, and help."""

TRAINING_LABELS = ("namespace", "training")
COMPARISON_LABELS = ("namespace", "comparison")

Row = tuple[tuple[str, ...], float]
"""Values of the labels, and the value of the series."""


@dataclass(frozen=True)
class Described:
    """A metric, for its readers."""

    name: str
    """As it is exported: that of a counter ends with _total."""
    type: str
    """counter, gauge or histogram."""
    labels: tuple[str, ...]
    help: str


class Known(Protocol):
    """What the operator knows of trainings and policies at the moment."""

    def counts(self) -> Mapping[str, int]:
        """Return the number of trainings by phase."""

    def phases(self) -> Iterable[Row]:
        """Yield namespace, name and phase of each training, with 1."""

    def failed(self) -> Iterable[Row]:
        """Yield namespace, name and reason of each training that failed, with 1."""

    def figures(self, name: str) -> Iterable[Row]:
        """Yield namespace and name of each training of which one of `FIGURES` is known, with its value."""

    def excepted(self) -> Iterable[Row]:
        """Yield namespace and name of each training that ran under an exception, with 1."""

    def exceptions(self) -> Iterable[Row]:
        """Yield policy, namespace and training of each exception, with the Unix time of its end."""

    def comparisons(self) -> Iterable[Row]:
        """Yield namespace, name and phase of each comparison, with 1."""

    def verdicts(self) -> Iterable[Row]:
        """Yield namespace, comparison, arm and verdict of each arm that was compared, with its difference of Dice."""

    def looks(self) -> Iterable[Row]:
        """Yield namespace and name of the test sets that were looked at most, with how often they were."""

    def most_looks(self) -> Iterable[Row]:
        """Yield each policy that bounds how often a test set may be looked at, with the bound."""

    def interval_ends(self, upper: bool) -> Iterable[Row]:
        """Yield namespace, comparison and arm of each arm that was compared, with an end of its interval."""

    def arms(self) -> Iterable[Row]:
        """Yield namespace, comparison, arm and training of each training of an arm, with the place of the arm."""


class Metrics:
    """All metrics of one operator, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.described: list[Described] = []
        """What there is, in the order of its declaration, but for the process's own metrics."""
        ProcessCollector(registry=self.registry)
        self.reconciles = self._counter(
            "reconciles", "Reconciles of an object, by its kind and by how they ended.", "kind", "result"
        )
        self.reconcile_seconds = self._histogram("reconcile_duration_seconds", "Duration of a reconcile.", "kind")
        self.queue_wait_seconds = self._histogram(
            "queue_wait_seconds", "Time that an object which is due to be reconciled waited for a worker.", "kind"
        )
        self.queue_depth = self._gauge("queue_depth", "Objects that are due and wait for a worker.", "kind")
        self.api_requests = self._counter(
            "api_requests", "Requests to the API server, watches not included.", "method", "resource", "code"
        )
        self.api_seconds = self._histogram("api_request_duration_seconds", "Duration of API requests.", "method")
        self.scrapes = self._counter("scrapes", "Requests for the facts of a fold, by how they ended.", "result")
        self.resyncs = self._counter("resyncs", "Full lists of everything, by how they ended.", "result")
        # From the first, as a rate does not see the step from nothing to 1.
        for counter, results in ((self.scrapes, ("ok", "failed")), (self.resyncs, ("ok", "error"))):
            for result in results:
                counter.labels(result)
        self.repairs = self._counter("resync_repairs", "Objects that a full list showed and no watch had.")
        self.rebuilds = self._counter("cache_rebuilds", "Times that etcd's history was replaced and all was read anew.")
        self.refused_namespaces = self._gauge(
            "namespace_refused", "1 for a watched namespace that can't be listed (403 or 404), else 0.", "namespace"
        )
        self.watch_restarts = self._counter("watch_restarts", "Times that the watches had to be built up anew.")
        self.policy_decisions = self._counter(
            "decisions",
            "Decisions of policies on trainings, one for each rule that is broken (rule is empty where none is).",
            *("policy", "rule", "outcome"),
            prefix="nnunet_policy",
        )
        self._gauge("build_info", "Version of the operator.", "version").labels(package_version()).set(1)

    def tell(self, known: "Known") -> None:
        """Export what is counted or read whenever somebody asks, so that what vanished drops out."""

        def by_phase() -> Iterator[Row]:
            counts = known.counts()
            return (((phase.value,), counts.get(phase.value, 0)) for phase in Phase)

        self._on_demand(f"{_PREFIX}_trainings", "Trainings by the phase in their status.", ("phase",), by_phase)
        self._on_demand(
            "nnunet_training_phase", "1 for the phase of each training.", (*TRAINING_LABELS, "phase"), known.phases
        )
        self._on_demand(
            "nnunet_training_failed",
            "1 for each training that failed, with the reason of its condition Failed.",
            (*TRAINING_LABELS, "reason"),
            known.failed,
        )
        for name, help_ in FIGURES.items():
            self._on_demand(f"nnunet_training_{name}", help_, TRAINING_LABELS, partial(known.figures, name))
        self._on_demand(
            "nnunet_training_policy_excepted",
            "1 for each training that ran under an exception at any time.",
            TRAINING_LABELS,
            known.excepted,
        )
        self._on_demand(
            "nnunet_policy_exception_expiry_timestamp_seconds",
            "Unix time at which an exception of a policy ends, or has ended.",
            ("policy", *TRAINING_LABELS),
            known.exceptions,
        )
        self._tell_comparisons(known)

    def _tell_comparisons(self, known: "Known") -> None:
        self._on_demand(
            "nnunet_comparison_phase",
            "1 for the phase of each comparison.",
            (*COMPARISON_LABELS, "phase"),
            known.comparisons,
        )
        self._on_demand(
            "nnunet_comparison_difference_dice",
            "Difference of Dice of an arm to the baseline, with the verdict on it.",
            (*COMPARISON_LABELS, "arm", "verdict"),
            known.verdicts,
        )
        self._on_demand(
            "nnunet_test_set_looks",
            "Trainings and comparisons that were scored on a test set, for the 500 test sets with the most. "
            "A namespace with 200 NnunetTestSets counts no looks at further ones.",
            ("namespace", "test_set"),
            known.looks,
        )
        self._on_demand(
            "nnunet_policy_max_test_looks",
            "How often a test set may have been looked at for a policy to accept a verdict on it.",
            ("policy",),
            known.most_looks,
        )
        for end in ("low", "high"):
            self._on_demand(
                f"nnunet_comparison_difference_{end}_dice",
                f"{'Lower' if end == 'low' else 'Upper'} end of the interval of that difference.",
                (*COMPARISON_LABELS, "arm"),
                partial(known.interval_ends, end == "high"),
            )
        self._on_demand(
            "nnunet_comparison_arm",
            "Place of the arm that a training is in, 1 for the baseline.",
            (*COMPARISON_LABELS, "arm", "training"),
            known.arms,
        )

    def _on_demand(self, name: str, help_: str, labels: tuple[str, ...], rows: Callable[[], Iterable[Row]]) -> None:
        self.described.append(Described(name, "gauge", labels, help_))
        self.registry.register(_OnDemand(name, help_, labels, rows))

    def _counter(self, name: str, help_: str, *labels: str, prefix: str = _PREFIX) -> Counter:
        self.described.append(Described(f"{prefix}_{name}_total", "counter", labels, help_))
        return Counter(f"{prefix}_{name}", help_, labels, registry=self.registry)

    def _gauge(self, name: str, help_: str, *labels: str) -> Gauge:
        self.described.append(Described(f"{_PREFIX}_{name}", "gauge", labels, help_))
        return Gauge(f"{_PREFIX}_{name}", help_, labels, registry=self.registry)

    def _histogram(self, name: str, help_: str, *labels: str) -> Histogram:
        self.described.append(Described(f"{_PREFIX}_{name}", "histogram", labels, help_))
        return Histogram(f"{_PREFIX}_{name}", help_, labels, buckets=_FAST, registry=self.registry)


class _OnDemand(Collector):
    """A gauge whose series are those that are there when somebody asks."""

    def __init__(self, name: str, help_: str, labels: tuple[str, ...], rows: Callable[[], Iterable[Row]]) -> None:
        self._name, self._help, self._labels = name, help_, labels
        self._rows = rows

    def describe(self) -> Iterator[GaugeMetricFamily]:
        yield self._family()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = self._family()
        for labels, value in self._rows():
            family.add_metric(labels, value)
        yield family

    def _family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily(self._name, self._help, labels=self._labels)


@cache
def package_version() -> str:
    """Return the version of the installed package, or "unknown"."""
    try:
        return version("nnunet-operator")
    except PackageNotFoundError:
        return "unknown"
