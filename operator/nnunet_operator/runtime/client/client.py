"""The API server, as far as this operator uses it. JSON in, JSON out; each request has a time limit."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from nnunet_api.base import GROUP, VERSION
from nnunet_operator.kube.objects import Manifest
from nnunet_operator.metrics import Metrics, package_version
from nnunet_operator.runtime.client import paging
from nnunet_operator.runtime.client.answers import excerpt, object_of, page_of, parse
from nnunet_operator.runtime.client.resources import Resource
from nnunet_operator.runtime.errors import ApiError, Unreachable, retry_after
from nnunet_operator.runtime.keys import Key

log = logging.getLogger(__name__)

_SERVICE_ACCOUNT_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"
_API_GROUP = f"/apis/{GROUP}/{VERSION}"


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
        return object_of(await self._request("GET", resource.plural, resource.path(*key)), "GET", resource)

    async def create(self, resource: Resource, namespace: str, body: Manifest) -> Manifest:
        """Create an object and return it as stored. Raises ApiError (409: it exists) and Unreachable."""
        stored = await self._request("POST", resource.plural, resource.path(namespace), body=body)
        return object_of(stored, "POST", resource)

    async def try_create(self, resource: Resource, namespace: str, body: Manifest) -> Manifest:
        """Return an object as the API server, and all that admits for it, would create it. Raises as `create` does."""
        return await self._request("POST", resource.plural, f"{resource.path(namespace)}?dryRun=All", body=body)

    async def merge(self, resource: Resource, key: Key, uid: str, spec: Manifest) -> Manifest:
        """Change fields of the spec of the object with this UID; return it as stored.

        Raises ApiError, with status 409 where another object has its name.
        """
        body = {"metadata": {"uid": uid}, "spec": spec}
        merge = "application/merge-patch+json"
        stored = await self._request("PATCH", resource.plural, resource.path(*key), body=body, content_type=merge)
        return object_of(stored, "PATCH", resource)

    async def delete(self, resource: Resource, key: Key, uid: str, version: str = "") -> Manifest:
        """Delete an object in the foreground: its name stays taken until what it owns is gone.

        Raises ApiError, with status 409 where it is not the object with this UID (and version) any more.
        """
        preconditions = {"uid": uid} | ({"resourceVersion": version} if version else {})
        body = {"propagationPolicy": "Foreground", "preconditions": preconditions}
        return await self._request("DELETE", resource.plural, resource.path(*key), body=body)

    async def write_status(self, resource: Resource, key: Key, version: str, status: Manifest) -> Manifest:
        """Replace the status of the object if it still has this version; return it as stored.

        Raises ApiError, with status 409 where the object has changed meanwhile.
        """
        patch = [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
            {"op": "add", "path": "/status", "value": status},
        ]
        path = resource.path(*key, sub="status")
        stored = await self._request(
            "PATCH", resource.plural, path, body=patch, content_type="application/json-patch+json"
        )
        return object_of(stored, "PATCH", resource)

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
        query = {"labelSelector": labels, "fieldSelector": fields}
        query = {name: value for name, value in query.items() if value}
        limit = paging.FIRST
        while True:
            query["limit"] = str(limit)
            most = paging.MOST_BYTES if limit > 1 else None
            try:
                answer, size = await self._sized("GET", resource.plural, resource.path(namespace), query, most=most)
            except _TooLarge:
                limit = paging.smaller(limit)
                continue
            items, version, more = page_of(answer, resource)
            limit = paging.after(limit, len(items), size)
            yield items, version
            if not more:
                return
            # What was handed over need not be in memory beside the next page.
            del answer, items
            query["continue"] = more

    async def served(self, wanted: Iterable[Resource]) -> bool:
        """Return True if the API server knows all of these kinds that have a CustomResourceDefinition of ours."""
        plurals = {resource.plural for resource in wanted if resource.base == _API_GROUP}
        try:
            answer = await self._request("GET", "customresources", _API_GROUP)
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        resources = answer.get("resources")
        if not isinstance(resources, list):
            raise Unreachable(f"GET {_API_GROUP}: the answer is no list of resources: {excerpt(answer)}")
        return plurals <= {r.get("name") for r in resources if isinstance(r, dict)}

    async def ping(self) -> None:
        """Ask for something small. Raises Unreachable where nobody answers."""
        await self._request("GET", "version", "/version")

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

    def _read_certificates_again(self) -> None:
        """Read the files of the cluster's CA and of the operator's certificate into the TLS settings that all use.

        Both are replaced while the operator lives. An authority that was trusted stays so until the next start.
        """
        known = self.configuration
        try:
            if known.ssl_ca_cert:
                self.ssl_context.load_verify_locations(cafile=known.ssl_ca_cert)
            if known.cert_file:
                self.ssl_context.load_cert_chain(known.cert_file, keyfile=known.key_file)
        except OSError as error:  # ssl.SSLError is one
            log.warning("the cluster's certificates can't be read again: %s", error)

    async def _request(
        self, method: str, plural: str, path: str, *, body: Any = None, content_type: str = "application/json"
    ) -> Manifest:
        return (await self._sized(method, plural, path, body=body, content_type=content_type))[0]

    async def _sized(
        self,
        method: str,
        plural: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: Any = None,
        content_type: str = "application/json",
        most: int | None = None,
    ) -> tuple[Manifest, int]:
        """Return an answer and its bytes. Raises _TooLarge where they are more than `most`."""
        url = self.configuration.host + path + (f"?{urlencode(query)}" if query else "")
        headers = {**await self.headers(), "Content-Type": content_type}
        loop = asyncio.get_running_loop()
        began = loop.time()
        code = "none"
        try:
            response = await self._api.call_api(method, url, headers, body=body, _request_timeout=self._timeout)
            text = await response.read() if most is None else await _read(response.response, most)
            code = str(response.status)
            self.last_answer = loop.time()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if isinstance(error, aiohttp.ClientSSLError):
                self._read_certificates_again()
            raise Unreachable(f"{method} {path}: {error or type(error).__name__}") from error
        finally:
            self._metrics.api_requests.labels(method, plural, code).inc()
            self._metrics.api_seconds.labels(method).observe(loop.time() - began)
        return parse(response.status, text, f"{method} {path}", retry_after(response.headers)), len(text)


class _TooLarge(Exception):
    """An answer has more bytes than are read."""


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    data = bytearray()
    async for block in response.content.iter_any():
        data += block
        if len(data) > most:
            response.close()  # the rest would come all the same
            raise _TooLarge
    return bytes(data)
