"""GPUs as a driver of Dynamic Resource Allocation offers them: a class of devices, and a slice that says who has some.

No driver is there. The real controller makes the claims and the real scheduler gives out the devices; what a driver
does on the node, nobody does.
"""

from tests.support.api import Api, Object

DRIVER = "gpu.example.com"
GROUP = "/apis/resource.k8s.io/v1"


class Devices:
    """The devices of a node, in a class of their own."""

    def __init__(self, api: Api, node: str, number: int) -> None:
        self._api = api
        self._node = node
        self._number = number

    def __enter__(self) -> "Devices":
        self._api.request("POST", f"{GROUP}/deviceclasses", _class(self._node))
        self.offer(self._number)
        return self

    def __exit__(self, *_: object) -> None:
        self._api.request("DELETE", f"{GROUP}/resourceslices/{self._node}")
        self._api.request("DELETE", f"{GROUP}/deviceclasses/{self._node}")

    @property
    def device_class(self) -> str:
        """Name of the class."""
        return self._node

    def offer(self, number: int) -> None:
        """Say that the node has so many."""
        pool = {"name": self._node, "generation": 1, "resourceSliceCount": 1}
        devices = [{"name": f"gpu-{index}"} for index in range(number)]
        spec = {"driver": DRIVER, "nodeName": self._node, "pool": pool, "devices": devices}
        body = {"metadata": {"name": self._node}, "spec": spec}
        self._api.request("POST", f"{GROUP}/resourceslices", body)

    def template(self, namespace: str, name: str, number: int = 1) -> None:
        """Make a template of claims that ask for so many of them."""
        exactly = {"deviceClassName": self.device_class, "count": number}
        claim = {"devices": {"requests": [{"name": "gpus", "exactly": exactly}]}}
        path = f"{GROUP}/namespaces/{namespace}/resourceclaimtemplates"
        self._api.request("POST", path, {"metadata": {"name": name}, "spec": {"spec": claim}})

    def claims(self, namespace: str) -> list[Object]:
        """Return the claims of a namespace."""
        found: list[Object] = self._api.request("GET", f"{GROUP}/namespaces/{namespace}/resourceclaims")["items"]
        return found


def _class(name: str) -> Object:
    selector = {"cel": {"expression": f"device.driver == '{DRIVER}'"}}
    return {"metadata": {"name": name}, "spec": {"selectors": [selector]}}
