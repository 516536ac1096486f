"""The policies, parsed, and the labels of namespaces: what a reconcile of a training needs to apply them."""

import logging
from collections.abc import Mapping

from nnunet_api.policy.decision import Policy
from nnunet_api.policy.model import NnunetTrainingPolicySpec
from nnunet_operator.core.policies import Policies
from nnunet_operator.runtime.client.client import Client
from nnunet_operator.runtime.client.resources import NAMESPACES, POLICIES
from nnunet_operator.runtime.errors import ApiError
from nnunet_operator.runtime.informers.informer import Cache
from nnunet_operator.runtime.keys import Key
from nnunet_operator.runtime.training import InvalidSpecError, parse_spec

log = logging.getLogger(__name__)


class PolicyCache:
    """Knows the policies and the labels of namespaces. Parses only when something has changed."""

    def __init__(self, client: Client, cache: Cache) -> None:
        self._client = client
        self._cache = cache
        self._parsed = Policies()
        self._revision = -1

    def policies(self) -> Policies:
        """Return all policies, without the labels of any namespace."""
        revision = self._cache[POLICIES].revision
        if revision != self._revision:
            self._parsed = self._parse()
            self._revision = revision
        return self._parsed

    async def labels(self, namespace: str) -> Mapping[str, str]:
        """Return the labels of a namespace by which policies may select. Raises ApiError and Unreachable."""
        key = Key("", namespace)
        if self._cache[NAMESPACES].get(key) is None:
            # A training may be seen before the watch tells of its namespace.
            try:
                self._cache[NAMESPACES].put(await self._client.get(NAMESPACES, key))
            except ApiError as error:
                if error.status != 404:
                    raise
        body = self._cache[NAMESPACES].get(key)
        return body["metadata"]["labels"] if body else {}

    def _parse(self) -> Policies:
        readable, unreadable = [], {}
        for body in self._cache[POLICIES].all():
            name, generation = body["metadata"]["name"], body["metadata"]["generation"]
            try:
                readable.append(Policy(name, generation, parse_spec(NnunetTrainingPolicySpec, body)))
            except InvalidSpecError as problem:
                log.error("policy %s can't be read, so no training runs: %s", name, problem)
                unreadable[name] = str(problem)
        return Policies(tuple(readable), unreadable)
