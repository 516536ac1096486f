"""A real Prometheus for the tests: Debian's, unpacked into the cache, not installed."""

from tests.monitoring.discovery import Discovery
from tests.monitoring.package import PrometheusPackageError, programs
from tests.monitoring.prometheus import Prometheus

__all__ = ["Discovery", "Prometheus", "PrometheusPackageError", "programs"]
