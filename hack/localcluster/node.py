"""Configuration files of the node: containerd, the pods' network, the kubelet."""

import json
from pathlib import Path

from hack.localcluster.components import POD_RANGE
from hack.localcluster.layout import Layout
from hack.localcluster.network import BRIDGE
from hack.localcluster.packages import CNI_PLUGINS
from hack.localcluster.state import BRIDGE_ADDRESS

PAUSE_IMAGE = "localhost/nnunet-pause:1"

# netns_mounts_under_state_dir, Root of runc and the disabled plugin keep everything inside our folders.
# restrict_oom_score_adj: where CAP_SYS_RESOURCE is missing (in a VM or container), no sandbox starts without it.
_CONTAINERD = """\
version = 2
root = "{root}/containerd"
state = "{run}/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt"]

[grpc]
  address = "{run}/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{root}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      Root = "{run}/runc"
"""


def write_configuration(layout: Layout) -> None:
    """Write all files of the node into the state folder."""
    root = layout.root
    containerd = _CONTAINERD.format(root=root, run=layout.run, pause=PAUSE_IMAGE, plugins=CNI_PLUGINS)
    (root / "containerd.toml").write_text(containerd)
    (root / "cni").mkdir(exist_ok=True)
    (root / "cni" / "10-bridge.conflist").write_text(json.dumps(_cni(layout), indent=2))
    (root / "kubelet.json").write_text(json.dumps(_kubelet(layout), indent=2))
    for folder in (layout.run, layout.kubelet, layout.volumes):
        folder.mkdir(exist_ok=True)


def _cni(layout: Layout) -> dict[str, object]:
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": POD_RANGE, "rangeStart": "10.244.0.10"}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": str(layout.root / "ipam"),
        },
    }
    # firewall: lets pods through where the machine drops forwarded packets by default, as Docker makes it
    plugins = [bridge, {"type": "firewall"}, {"type": "portmap", "capabilities": {"portMappings": True}}]
    return {"cniVersion": "0.4.0", "name": layout.key, "plugins": plugins}


def _kubelet(layout: Layout) -> dict[str, object]:
    pki: Path = layout.pki
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": BRIDGE_ADDRESS,
        "healthzPort": 0,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / "kubelet.crt"),
        "tlsPrivateKeyFile": str(pki / "kubelet.key"),
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.key}",
        "failCgroupV1": False,  # runs on hosts with either version
        "failSwapOn": False,
        "clusterDomain": "cluster.local",
        "podLogsDir": str(layout.root / "pod-logs"),
        "volumePluginDir": str(layout.root / "volume-plugins"),
        "serializeImagePulls": False,
        "imageGCHighThresholdPercent": 100,  # loaded images can't be pulled again
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
    }
