"""Properties are judged by what they say, not by how long a busy machine takes for one example."""

from hypothesis import HealthCheck, settings

# The same examples in each run: a failure belongs to the change that brings it.
settings.register_profile("here", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("here")
