"""The chart as it is rendered, once for all tests that ask about the same values."""

import functools
import json
from collections.abc import Mapping
from typing import Any

from hack.prepare.helm import Object, objects, rendered


def render(values: Mapping[str, Any] | None = None, release: str = "nnunet-operator", *args: str) -> list[Object]:
    """Return the objects of the chart as `hack.prepare.helm.render` does."""
    return objects(_rendered(json.dumps(values), release, *args))


@functools.cache
def _rendered(values: str, release: str, *args: str) -> str:
    return rendered(json.loads(values), release, *args)
