"""The kinds of objects that the operator asks the API server for."""

from dataclasses import dataclass

from nnunet_api import test_set, training
from nnunet_api.base import GROUP, VERSION
from nnunet_api.comparison import model as comparison
from nnunet_api.policy import model as policy


@dataclass(frozen=True)
class Resource:
    """A kind of object, by its place in the API."""

    group: str
    """Empty for the core group."""
    version: str
    plural: str
    kind: str

    @property
    def base(self) -> str:
        """The path of the group and version."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def path(self, namespace: str = "", name: str = "", sub: str = "") -> str:
        """Return the path of an object, or of all objects of a namespace or of the cluster."""
        parts = [self.base]
        if namespace:
            parts += ["namespaces", namespace]
        parts += [self.plural, name, sub]
        return "/".join(part for part in parts if part)


TRAININGS = Resource(GROUP, VERSION, training.PLURAL, training.KIND)
POLICIES = Resource(GROUP, VERSION, policy.PLURAL, policy.KIND)
COMPARISONS = Resource(GROUP, VERSION, comparison.PLURAL, comparison.KIND)
TEST_SETS = Resource(GROUP, VERSION, test_set.PLURAL, test_set.KIND)
NAMESPACES = Resource("", "v1", "namespaces", "Namespace")
JOBS = Resource("batch", "v1", "jobs", "Job")
PODS = Resource("", "v1", "pods", "Pod")
EVENTS = Resource("", "v1", "events", "Event")
