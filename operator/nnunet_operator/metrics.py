"""The operator's own metrics. No label names an object: series don't grow with the number of trainings."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from nnunet_operator.api.reasons import Phase

_PREFIX = "nnunet_operator"
_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """All metrics of one operator, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.reconciles = self._counter("reconciles", "Looks at a training, by how they ended.", "result")
        self.reconcile_seconds = self._histogram("reconcile_duration_seconds", "Duration of a look at a training.")
        self.queue_wait_seconds = self._histogram(
            "queue_wait_seconds", "Time that a training which is due waited for a worker."
        )
        self.queue_depth = self._gauge("queue_depth", "Trainings that are due and wait for a worker.")
        self.api_requests = self._counter(
            "api_requests", "Requests to the API server, watches not included.", "method", "resource", "code"
        )
        self.api_seconds = self._histogram("api_request_duration_seconds", "Duration of API requests.", "method")
        self.scrapes = self._counter("scrapes", "Requests for a trainer's metrics, by how they ended.", "result")
        self.resyncs = self._counter("resyncs", "Full lists of everything, by how they ended.", "result")
        self.repairs = self._counter("resync_repairs", "Objects that a full list showed and no watch had.")
        self.watch_restarts = self._counter("watch_restarts", "Times that the watches had to be built up anew.")
        self._gauge("build_info", "Version of the operator.", "version").labels(package_version()).set(1)

    def count_trainings(self, by_phase: Callable[[], Mapping[str, int]]) -> None:
        """Export the number of trainings by phase, counted whenever somebody asks."""
        self.registry.register(_TrainingsCollector(by_phase))

    def _counter(self, name: str, help_: str, *labels: str) -> Counter:
        return Counter(f"{_PREFIX}_{name}", help_, labels, registry=self.registry)

    def _gauge(self, name: str, help_: str, *labels: str) -> Gauge:
        return Gauge(f"{_PREFIX}_{name}", help_, labels, registry=self.registry)

    def _histogram(self, name: str, help_: str, *labels: str) -> Histogram:
        return Histogram(f"{_PREFIX}_{name}", help_, labels, buckets=_FAST, registry=self.registry)


class _TrainingsCollector(Collector):
    """Counts when it is asked, so that what vanished drops out."""

    def __init__(self, by_phase: Callable[[], Mapping[str, int]]) -> None:
        self._by_phase = by_phase

    def describe(self) -> Iterator[GaugeMetricFamily]:
        yield self._family()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        counts = self._by_phase()
        family = self._family()
        for phase in Phase:
            family.add_metric([phase.value], counts.get(phase.value, 0))
        yield family

    @staticmethod
    def _family() -> GaugeMetricFamily:
        return GaugeMetricFamily(f"{_PREFIX}_trainings", "Trainings by the phase in their status.", labels=["phase"])


@cache
def package_version() -> str:
    """Return the version of the installed package, or "unknown"."""
    try:
        return version("nnunet-operator")
    except PackageNotFoundError:
        return "unknown"
