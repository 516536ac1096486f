"""How often test sets were looked at, as far as the ledgers of a cluster tell."""

from typing import Any, cast

import pytest

from nnunet_api.test_set import MAX_LEDGERS
from nnunet_cli.kube.answer import Answer, Refused
from nnunet_cli.kube.cluster import Cluster
from nnunet_cli.kube.test_sets import Looks, read_looks


def ledgers(namespace: str, number: int) -> list[dict[str, Any]]:
    return [
        {"metadata": {"namespace": namespace}, "spec": {"imagesHash": f"{one}"}, "status": {"total": 3}}
        for one in range(number)
    ]


class Ledgers:
    """A cluster in which these may be read: of all namespaces at once, or one by one."""

    def __init__(self, found: dict[str, int], refusal: int = 0) -> None:
        self._found, self._refusal = found, refusal

    def test_sets(self, namespace: str | None) -> list[dict[str, Any]]:
        if self._refusal and (namespace is None or namespace not in self._found):
            raise Refused(Answer(self._refusal, {"message": "no"}))
        names = [namespace] if namespace else list(self._found)
        return [one for name in names for one in ledgers(name, self._found[name])]


@pytest.mark.parametrize(
    ("cluster", "looks", "lacks"),
    [
        (Ledgers({"clinic": 1, "lab": 2}), 6, ""),
        (Ledgers({"clinic": 1, "lab": 2}, 403), 3, ""),
        (Ledgers({"clinic": 1, "lab": MAX_LEDGERS}), 6, "in lab there are 200 NnunetTestSets"),
        (Ledgers({"clinic": MAX_LEDGERS}, 403), 3, "in clinic there are 200 NnunetTestSets"),
        (
            Ledgers({f"n-{one}": MAX_LEDGERS for one in range(7)}),
            21,
            "n-0, n-1, n-2, n-3, n-4 and 2 others there are 200",
        ),
        (Ledgers({}, 404), 0, ""),
    ],
)
def test_what_namespaces_count_is_added_up_and_what_they_may_not_have_counted_is_said(
    cluster: Ledgers, looks: int, lacks: str
) -> None:
    found: Looks = read_looks(cast(Cluster, cluster), ["clinic", "clinic", "elsewhere"])
    assert found.by_hash.get("0", 0) == looks
    assert (lacks in found.lacks) if lacks else not found.lacks
