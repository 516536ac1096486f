"""How often test sets have been looked at, as far as the ledgers may be read."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nnunet_api.test_set import MAX_LEDGERS
from nnunet_api.words import counted
from nnunet_cli.kube.answer import Refused
from nnunet_cli.kube.cluster import Cluster, Object

_SHOWN = 5


@dataclass(frozen=True)
class Looks:
    """What the ledgers that may be read say."""

    by_hash: Mapping[str, int] = field(default_factory=dict)
    """Looks at each test set, by the hash of its images."""
    full: tuple[str, ...] = ()
    """Namespaces that have as many ledgers as they may: looks at test sets without one are not counted there."""

    @property
    def lacks(self) -> str:
        """What the numbers may lack, in words; "" for nothing."""
        if not self.full:
            return ""
        more = f" and {counted(len(self.full) - _SHOWN, 'other')}" if len(self.full) > _SHOWN else ""
        return (
            f"there may have been more looks at a test set than are shown: in {', '.join(self.full[:_SHOWN])}{more} "
            f"there are {MAX_LEDGERS} NnunetTestSets, the most of a namespace, and looks at further test sets are not "
            "counted. Have an administrator delete those of test sets that are used no more (kubectl get nnts -A)"
        )


def read_looks(cluster: Cluster, namespaces: Iterable[str]) -> Looks:
    """Return the looks at each test set: of the cluster, or else of these namespaces.

    A namespace whose ledgers may not be read adds none.
    """
    try:
        return _summed(cluster.test_sets(None))
    except Refused as refused:
        if not refused.answer.forbidden:
            return Looks()  # an operator from before the ledgers
    found: list[Object] = []
    for namespace in sorted(set(namespaces)):
        try:
            found += cluster.test_sets(namespace)
        except Refused:
            continue
    return _summed(found)


def _summed(ledgers: Iterable[Object]) -> Looks:
    looks: Counter[str] = Counter()
    of_namespace: Counter[str] = Counter()
    for ledger in ledgers:
        images_hash, total = ledger.get("spec", {}).get("imagesHash"), ledger.get("status", {}).get("total", 0)
        looks[str(images_hash)] += int(total)
        of_namespace[str(ledger["metadata"]["namespace"])] += 1
    full = sorted(namespace for namespace, number in of_namespace.items() if number >= MAX_LEDGERS)
    return Looks(looks, tuple(full))
