"""What controllers are made of."""

from dataclasses import dataclass
from functools import cached_property

import aiohttp

from nnunet_operator.kube.builders.options import JobOptions
from nnunet_operator.metrics import Metrics
from nnunet_operator.runtime.client.client import Client
from nnunet_operator.runtime.controllers.policy_cache import PolicyCache
from nnunet_operator.runtime.controllers.recorder import Recorder
from nnunet_operator.runtime.informers.feed import Feed
from nnunet_operator.runtime.patience import USUAL, Patience
from nnunet_operator.settings import Settings


@dataclass(frozen=True)
class Parts:
    """What all controllers share."""

    client: Client
    feed: Feed
    metrics: Metrics
    policies: PolicyCache
    session: aiohttp.ClientSession
    """For requests to pods."""
    settings: Settings
    patience: Patience = USUAL

    @cached_property
    def recorder(self) -> Recorder:
        """Records Events."""
        return Recorder(self.client)

    @cached_property
    def options(self) -> JobOptions:
        """The settings that Jobs and decisions depend on."""
        return self.settings.options()
