"""The API server, as far as this operator uses it. JSON in, JSON out; each request has a time limit."""

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from nnunet_operator.api.base import GROUP, VERSION
from nnunet_operator.api.policy import PLURAL as POLICY_PLURAL
from nnunet_operator.api.training import PLURAL
from nnunet_operator.builders.model import Manifest
from nnunet_operator.metrics import Metrics, package_version
from nnunet_operator.runtime.errors import ApiError, Unreachable, retry_after
from nnunet_operator.runtime.keys import Key

log = logging.getLogger(__name__)

PAGE = 250
"""Objects in one answer to a list request. Bounds the memory that a list of thousands takes."""
_SERVICE_ACCOUNT_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"


@dataclass(frozen=True)
class Resource:
    """A kind of object, by its place in the API."""

    base: str
    plural: str

    def path(self, namespace: str = "", name: str = "", sub: str = "") -> str:
        """Return the path of an object, or of all objects of a namespace or of the cluster."""
        parts = [self.base]
        if namespace:
            parts += ["namespaces", namespace]
        parts += [self.plural, name, sub]
        return "/".join(part for part in parts if part)


API_GROUP = f"/apis/{GROUP}/{VERSION}"
TRAININGS = Resource(API_GROUP, PLURAL)
POLICIES = Resource(API_GROUP, POLICY_PLURAL)
NAMESPACES = Resource("/api/v1", "namespaces")
JOBS = Resource("/apis/batch/v1", "jobs")
PODS = Resource("/api/v1", "pods")
EVENTS = Resource("/api/v1", "events")


async def load_configuration() -> Configuration:
    """Return how to reach the API server: from KUBECONFIG, the pod's service account, or ~/.kube/config."""
    configuration = Configuration()
    # With the environment's proxies comes ~/.netrc, read anew in a thread for each request. kopf heeds neither.
    configuration.client_session_kwargs = {"trust_env": False}
    if not os.environ.get("KUBECONFIG") and os.path.exists(_SERVICE_ACCOUNT_TOKEN):  # noqa: PTH110, ASYNC240
        config.load_incluster_config(client_configuration=configuration)
    else:
        await config.load_kube_config(client_configuration=configuration)
    return configuration


class Client:
    """The official client underneath, for credentials, TLS and connections; without its models, for speed."""

    def __init__(self, configuration: Configuration, timeout_seconds: float, metrics: Metrics) -> None:
        self.configuration = configuration
        self.last_answer = float("-inf")
        """Loop time of the last answer of the API server, whatever it said."""
        self._api = ApiClient(configuration)
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._metrics = metrics

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._api.close()

    async def get(self, resource: Resource, key: Key) -> Manifest:
        """Return an object. Raises ApiError, with status 404 where there is none, and Unreachable."""
        return _object(await self._request("GET", resource, resource.path(*key)), "GET", resource)

    async def create(self, resource: Resource, namespace: str, body: Manifest) -> Manifest:
        """Create an object and return it as stored. Raises ApiError (409: it exists) and Unreachable."""
        stored = await self._request("POST", resource, resource.path(namespace), body=body)
        return _object(stored, "POST", resource)

    async def delete(self, resource: Resource, key: Key, uid: str, version: str = "") -> Manifest:
        """Delete an object in the foreground: its name stays taken until what it owns is gone.

        Raises ApiError, with status 409 where it is not the object with this UID (and version) any more.
        """
        preconditions = {"uid": uid} | ({"resourceVersion": version} if version else {})
        body = {"propagationPolicy": "Foreground", "preconditions": preconditions}
        return await self._request("DELETE", resource, resource.path(*key), body=body)

    async def write_status(self, resource: Resource, key: Key, version: str, status: Manifest) -> Manifest:
        """Replace the status of the object if it still has this version; return it as stored.

        Raises ApiError, with status 409 where the object has changed meanwhile.
        """
        patch = [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
            {"op": "add", "path": "/status", "value": status},
        ]
        path = resource.path(*key, sub="status")
        stored = await self._request("PATCH", resource, path, body=patch, content_type="application/json-patch+json")
        return _object(stored, "PATCH", resource)

    async def list_page(self, resource: Resource, namespace: str, query: Mapping[str, str]) -> Manifest:
        """Return one page of objects, of one namespace or (with "") of the cluster."""
        return await self._request("GET", resource, resource.path(namespace), query=query)

    async def list_all(
        self, resource: Resource, namespace: str = "", labels: str = "", fields: str = ""
    ) -> tuple[list[Manifest], int]:
        """Return all objects that match, and the version of the list. Only for lists that are short."""
        items: list[Manifest] = []
        version = 0
        async for page, at in self.pages(resource, namespace, labels, fields):
            items += page
            version = at
        return items, version

    async def pages(
        self, resource: Resource, namespace: str = "", labels: str = "", fields: str = ""
    ) -> AsyncIterator[tuple[list[Manifest], int]]:
        """Yield all objects that match page by page, each with the version of the whole list."""
        query = {"limit": str(PAGE), "labelSelector": labels, "fieldSelector": fields}
        query = {name: value for name, value in query.items() if value}
        while True:
            answer = await self.list_page(resource, namespace, query)
            items, version, more = _page(answer, resource)
            yield items, version
            if not more:
                return
            query["continue"] = more

    async def served(self) -> bool:
        """Say whether the API server has both CustomResourceDefinitions, and tells of them."""
        try:
            answer = await self._request("GET", TRAININGS, API_GROUP)
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        resources = answer.get("resources")
        if not isinstance(resources, list):
            raise Unreachable(f"GET {API_GROUP}: the answer is no list of resources: {_excerpt(answer)}")
        return {PLURAL, POLICY_PLURAL} <= {r.get("name") for r in resources if isinstance(r, dict)}

    async def ping(self) -> None:
        """Ask for something small. Raises Unreachable where nobody answers."""
        await self._request("GET", Resource("/version", "version"), "/version")

    async def headers(self) -> dict[str, str]:
        """Return the headers by which the operator names and authenticates itself."""
        headers = {"User-Agent": f"nnunet-operator/{package_version()}", "Accept": "application/json"}
        for auth in (await self.configuration.auth_settings()).values():
            headers[auth["key"]] = auth["value"]
        return headers

    @property
    def ssl_context(self) -> Any:
        """The TLS settings of the connection."""
        return self._api.rest_client.ssl_context

    async def _request(
        self,
        method: str,
        resource: Resource,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> Manifest:
        url = self.configuration.host + path + (f"?{urlencode(query)}" if query else "")
        headers = {**await self.headers(), "Content-Type": content_type}
        loop = asyncio.get_running_loop()
        began = loop.time()
        code = "none"
        try:
            response = await self._api.call_api(method, url, headers, body=body, _request_timeout=self._timeout)
            text = await response.read()
            code = str(response.status)
            self.last_answer = loop.time()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(f"{method} {path}: {error or type(error).__name__}") from error
        finally:
            self._metrics.api_requests.labels(method, resource.plural, code).inc()
            self._metrics.api_seconds.labels(method).observe(loop.time() - began)
        return _parse(response.status, text, f"{method} {path}", retry_after(response.headers))


def _parse(status: int, text: bytes, what: str, wait: float | None = None) -> Manifest:
    """Return the body of an answer, or raise what it means. `wait` are the seconds that the server asks for."""
    try:
        body: Any = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    if status < 300:
        if isinstance(body, dict):
            return body
        # Something that stands in for the API server: the page of a proxy, or an answer that was cut off.
        raise Unreachable(f"{what}: the answer is no JSON object: {_excerpt(text)} (HTTP {status})", wait)
    message = str(body.get("message") or "") if isinstance(body, dict) else _excerpt(text)
    if status < 400 or status == 429 or status >= 500:
        raise Unreachable(f"{what}: {message} (HTTP {status})", wait, message)
    raise ApiError(status, message, what)


def _object(body: Manifest, method: str, resource: Resource) -> Manifest:
    """Return an answer that is an object of the API. Raises Unreachable for anything else."""
    if not _is_object(body):
        raise Unreachable(f"{method} {resource.plural}: the answer is no object of the API: {_excerpt(body)}")
    return body


def _page(answer: Manifest, resource: Resource) -> tuple[list[Manifest], int, str]:
    """Return the objects of a page, the version of the list, and how to ask for the next page. Raises Unreachable."""
    metadata, items = answer.get("metadata"), answer.get("items")
    # An empty list may be null: it is what Go makes of none.
    items = [] if items is None and str(answer.get("kind", "")).endswith("List") else items
    version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
    if not isinstance(items, list) or not all(map(_is_object, items)) or not _is_version(version):
        raise Unreachable(f"GET {resource.plural}: the answer is no list of the API: {_excerpt(answer)}")
    return items, int(str(version)), str(answer["metadata"].get("continue") or "")


def _is_object(body: Any) -> bool:
    metadata = body.get("metadata") if isinstance(body, dict) else None
    return isinstance(metadata, dict) and bool(metadata.get("name")) and _is_version(metadata.get("resourceVersion"))


def _is_version(value: Any) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdigit()


def _excerpt(answer: Any) -> str:
    """Return the beginning of an answer for the log, in one line."""
    text = answer.decode(errors="replace") if isinstance(answer, bytes) else json.dumps(answer)
    return " ".join(text[:200].split()) or "(empty)"
