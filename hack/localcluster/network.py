"""The node's bridge and the packet filter rules of kube-proxy, the kubelet and the CNI plugins."""

import ipaddress
import json
import re
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from hack.localcluster.components import POD_RANGE, SERVICE_RANGE
from hack.localcluster.errors import ClusterError
from hack.localcluster.host import run, write_sysctl
from hack.localcluster.layout import Layout
from hack.localcluster.state import BRIDGE_ADDRESS

BRIDGE = "nnunet0"
_FILTERS = ("iptables", "ip6tables")
_OURS = re.compile(r"(KUBE|CNI)-")


def check_free(layout: Layout) -> None:
    """Raise ClusterError when another cluster, or another network of the machine, uses what the node needs."""
    bridge = _bridge()
    if bridge and bridge.get("ifalias") != str(layout.root):
        raise ClusterError(
            f"the network interface {BRIDGE} exists already, made by {bridge.get('ifalias', 'something else')}: "
            "there can be one cluster with a node on a machine; take that one down first"
        )
    needed = [ipaddress.ip_network(POD_RANGE), ipaddress.ip_network(SERVICE_RANGE)]
    for route in json.loads(run("ip", "-json", "-4", "route", "show")):
        if route["dst"] == "default" or route.get("dev") == BRIDGE:
            continue
        network = ipaddress.ip_network(route["dst"])
        for wanted in needed:
            if network.overlaps(wanted):
                raise ClusterError(f"the cluster needs {wanted}, but {route.get('dev')} has a route to {network}")


def create(layout: Layout) -> None:
    """Make the bridge that pods are attached to, marked with the owner's state folder."""
    if not _bridge():
        run("ip", "link", "add", BRIDGE, "type", "bridge")
    run("ip", "link", "set", BRIDGE, "alias", str(layout.root), "up")
    prefix = ipaddress.ip_network(POD_RANGE).prefixlen
    run("ip", "address", "replace", f"{BRIDGE_ADDRESS}/{prefix}", "dev", BRIDGE)
    if not Path("/proc/sys/net/bridge").exists():
        run("modprobe", "br_netfilter")
    write_sysctl("net/ipv4/ip_forward", "1")
    write_sysctl("net/bridge/bridge-nf-call-iptables", "1")


def remove(layout: Layout) -> list[str]:
    """Delete the bridge, if it is this cluster's, and the pods' interfaces on it; return their names."""
    bridge = _bridge()
    if not bridge or bridge.get("ifalias") not in (None, str(layout.root)):
        return []
    ports = [link["ifname"] for link in json.loads(run("ip", "-json", "link", "show", "master", BRIDGE))]
    for name in [*ports, BRIDGE]:
        with suppress(ClusterError):  # a pod's interface goes with its network namespace, maybe just now
            run("ip", "link", "delete", name)
    return [*ports, BRIDGE]


def read_chains() -> dict[str, list[str]]:
    """Return `table chain` of all packet filter chains, by program."""
    return {program: _chains(run(f"{program}-save")) for program in _FILTERS}


def remove_rules(keep: dict[str, list[str]]) -> int:
    """Delete the chains of Kubernetes and CNI that are not in `keep`, with all that jumps there; return how many."""
    count = 0
    for program in _FILTERS:
        script = removal_script(run(f"{program}-save"), keep.get(program, []))
        if script:
            run(f"{program}-restore", "--noflush", stdin=script)
            count += script.count("\n-X ")
    return count


def removal_script(saved: str, keep: Collection[str]) -> str:
    """Return what iptables-restore needs to read so that chains of ours in `saved` vanish, and rules for pods. Pure.

    A chain of CNI's may have been there before, of another network or of a cluster that was killed: then what the pods
    of this one have in it goes, and the chain stays. `check_free` has seen to it that nobody else has such addresses.

    Args:
        saved: The output of iptables-save.
        keep: `table chain` of the chains that were there before.
    """
    doomed = {entry for entry in _chains(saved) if _OURS.match(entry.split()[1])} - set(keep)
    lines: list[str] = []
    for table, rules in _tables(saved).items():
        chains = [entry.split()[1] for entry in sorted(doomed) if entry.split()[0] == table]
        jump = re.compile(r"-[jg] (" + ("|".join(map(re.escape, chains)) or "(?!)") + r")(?= |$)")
        going = [rule for rule in rules if rule.split()[1] not in chains and (jump.search(rule) or _is_of_pod(rule))]
        if not chains and not going:
            continue
        lines += [f"*{table}", *(f"-D {rule.removeprefix('-A ')}" for rule in going)]
        lines += [f"-F {chain}" for chain in chains] + [f"-X {chain}" for chain in chains] + ["COMMIT"]
    return "\n".join(lines) + "\n" if lines else ""


def _is_of_pod(rule: str) -> bool:
    addresses = re.findall(r"-[sd] ([0-9.]+)/32(?= |$)", rule)
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(POD_RANGE) for address in addresses)


def _chains(saved: str) -> list[str]:
    found, table = [], ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith(":"):
            found.append(f"{table} {line[1:].split()[0]}")
    return found


def _tables(saved: str) -> dict[str, list[str]]:
    rules: dict[str, list[str]] = {}
    table = ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:]
            rules[table] = []
        elif line.startswith("-A "):
            rules[table].append(line)
    return rules


def _bridge() -> dict[str, Any] | None:
    for link in json.loads(run("ip", "-json", "link", "show")):
        if link["ifname"] == BRIDGE:
            return dict(link)
    return None
