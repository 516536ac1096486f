"""A real Prometheus for the tests: Debian's, unpacked into the cache, not installed."""

from hack.monitoring.discovery import Discovery
from hack.monitoring.package import PrometheusPackageError, programs
from hack.monitoring.prometheus import Prometheus

__all__ = ["Discovery", "Prometheus", "PrometheusPackageError", "programs"]
