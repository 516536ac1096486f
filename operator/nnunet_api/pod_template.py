"""`spec.podTemplate`: what the cluster's administrators ask of pods, and as whom they run."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from nnunet_api.base import GROUP, INTEGER, ApiModel, ObjectName, cel
from nnunet_api.tolerations import Toleration

_MAX_ID = 2**31 - 1
RESERVED_ANNOTATIONS = (f"{GROUP}/", "kueue.x-k8s.io/", "batch.kubernetes.io/")
"""Beginnings of annotations that only the operator, Kueue and Kubernetes give. A queue comes by spec.queueName."""
JOB_ANNOTATIONS_RULE = (
    "self.all(key, !" + " && !".join(f"key.startsWith('{prefix}')" for prefix in RESERVED_ANNOTATIONS) + ")"
)
_RESERVED = (
    JOB_ANNOTATIONS_RULE,
    f"annotations under {', '.join(RESERVED_ANNOTATIONS)} are not for trainings to give (a queue: spec.queueName)",
)

MAX_PARTS = 16
"""Fields of an opaque part; Kubernetes' own have fewer. How large it is in all, admission measures (see `bounds`)."""


def _opaque(kind: Literal["object", "array"]) -> dict[str, Any]:
    """Schema of a part that Kubernetes itself validates when the pod is created."""
    if kind == "object":
        return {"type": "object", "maxProperties": MAX_PARTS, "x-kubernetes-preserve-unknown-fields": True}
    return {"type": "array", "maxItems": 32, "items": _opaque("object")}


_Part = Annotated[dict[str, Any], Field(max_length=MAX_PARTS)]
_NAME = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
"""Names and values of labels, and names of annotations, as Kubernetes takes them."""
_NAMES = (
    rf"self.all(key, key.matches('^([A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?/)?{_NAME}$'))",
    "names must be [PREFIX/]NAME of letters, digits, -, _ and dots, NAME with at most 63 characters",
)
_Annotations = dict[str, Annotated[str, Field(max_length=4096)]]
LabelMap = Annotated[
    dict[str, Annotated[str, Field(max_length=63, pattern=rf"^({_NAME})?$")]],
    Field(max_length=64, json_schema_extra=cel(_NAMES)),
]
AnnotationMap = Annotated[_Annotations, Field(max_length=64, json_schema_extra=cel(_NAMES))]
JobAnnotationMap = Annotated[_Annotations, Field(max_length=64, json_schema_extra=cel(_NAMES, _RESERVED))]
_OptionalName = Annotated[str | None, Field(max_length=253, pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$")]


class LocalObjectReference(ApiModel):
    """Name of an object in the same namespace."""

    name: ObjectName
    """Name of the object."""


class SELinuxOptions(ApiModel):
    """What SELinux goes by, as far as the restricted Pod Security Standard lets it be chosen."""

    level: Annotated[str | None, Field(max_length=256, pattern=r"^[a-zA-Z0-9:.,-]+$")] = None
    """Level, for example s0:c123,c456. Pods that share a volume need the same."""
    type: Literal["container_t", "container_init_t", "container_kvm_t", "container_engine_t"] | None = None
    """Type."""


PROFILE_RULE = "has(self.localhostProfile) == (self.type == 'Localhost')"


class SecurityProfile(ApiModel):
    """A profile that confines the pods: that of the node's container runtime, or one that lies on the node."""

    model_config = ConfigDict(
        json_schema_extra=cel((PROFILE_RULE, "localhostProfile goes with type Localhost, and with no other"))
    )

    type: Literal["RuntimeDefault", "Localhost"]
    """RuntimeDefault, or Localhost for one that who runs the cluster has put on the nodes."""
    # No part of it begins with a dot, so none leads upwards; and a policy can name it as a whole.
    localhost_profile: Annotated[
        str | None, Field(max_length=100, pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$")
    ] = None
    """Of Localhost: its name, for seccomp the path of its file below the kubelet's folder for them."""


class SecurityContext(ApiModel):
    """As whom the pods run, and what confines them. Everything else of a security context is fixed by the restricted
    Pod Security Standard."""

    run_as_user: Annotated[int | None, Field(ge=1, le=_MAX_ID, json_schema_extra=INTEGER)] = None
    """User. Left out, the cluster assigns one (OpenShift), or else it is the image's."""
    run_as_group: Annotated[int | None, Field(ge=0, le=_MAX_ID, json_schema_extra=INTEGER)] = None
    """Primary group. Left out, it is the cluster's or the image's."""
    fs_group: Annotated[int | None, Field(ge=0, le=_MAX_ID, json_schema_extra=INTEGER)] = None
    """Group to which the kubelet gives the files on the claims that are written. It counts where it is the group that
    the operator has for these claims (the chart's trainer.ownedClaims): another one would take the files of other
    trainings. Left out, it gives them to nobody."""
    fs_group_change_policy: Literal["OnRootMismatch", "Always"] = "OnRootMismatch"
    """When it does so: where the root of the volume is of another group, or at each start of a pod."""
    supplemental_groups: Annotated[
        list[Annotated[int, Field(ge=0, le=_MAX_ID, json_schema_extra=INTEGER)]], Field(max_length=16)
    ] = []
    """Further groups, for example one that may read an NFS export."""
    supplemental_groups_policy: Literal["Merge", "Strict"] | None = None
    """Strict keeps out the groups that the image has for its user in /etc/group, which Kubernetes adds otherwise
    (Merge, the default). Kubernetes 1.33 or later; a node whose container runtime can't do so turns the pods away."""
    se_linux_options: SELinuxOptions | None = None
    """What SELinux goes by."""
    seccomp_profile: SecurityProfile | None = None
    """Which system calls the pods may make. Default: RuntimeDefault."""
    app_armor_profile: SecurityProfile | None = None
    """What AppArmor lets the pods do. Default: the container runtime's, on nodes that have AppArmor."""

    def to_pod(self) -> dict[str, Any]:
        """Return what of it stands in the security context of a pod."""
        chosen = {key: value for key, value in self.to_json_dict().items() if value not in ([], {})}
        if self.fs_group is None:
            chosen.pop("fsGroupChangePolicy", None)
        return chosen


TRAINER_ID = 1000
"""User and group of the trainer where nobody says otherwise; the group also owns what it writes to the claims."""
DEFAULT_SECURITY = SecurityContext(run_as_user=TRAINER_ID, run_as_group=TRAINER_ID, fs_group=TRAINER_ID)


class ConfigMapSource(ApiModel):
    """A ConfigMap, each key of which is a file."""

    name: ObjectName
    """Name of the ConfigMap."""
    optional: bool = False
    """Without it the folder is empty; else the pod does not start."""


class SecretSource(ApiModel):
    """A Secret, each key of which is a file."""

    secret_name: ObjectName
    """Name of the Secret."""
    optional: bool = False
    """Without it the folder is empty; else the pod does not start."""


class Volume(ApiModel):
    """A folder that the trainer finds, read-only, at /nnunet/volumes/NAME."""

    model_config = ConfigDict(
        json_schema_extra=cel(("has(self.configMap) != has(self.secret)", "give one of configMap and secret"))
    )

    name: Annotated[str, Field(min_length=1, max_length=50, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    """Name of the folder."""
    config_map: ConfigMapSource | None = None
    """Its files come from a ConfigMap: certificates of a CA, a trainer class of your own."""
    secret: SecretSource | None = None
    """Its files come from a Secret: a licence, credentials."""


class PodTemplate(ApiModel):
    """What the cluster's administrators ask of pods: placement, priority, pull secrets, extra metadata."""

    labels: LabelMap = {}
    """Extra labels of the pods, but not of the verification's. Labels under nnunet.dev/ are the operator's and win."""
    annotations: AnnotationMap = {}
    """Extra annotations of the pods, but not of the verification's."""
    node_selector: LabelMap = {}
    """Node labels that a pod needs."""
    tolerations: Annotated[list[Toleration], Field(max_length=32)] = []
    """Taints that the pods tolerate."""
    affinity: Annotated[_Part | None, Field(json_schema_extra=_opaque("object"))] = None
    """Node and pod affinity."""
    priority_class_name: _OptionalName = None
    """PriorityClass of the pods."""
    image_pull_secrets: Annotated[list[LocalObjectReference], Field(max_length=16)] = []
    """Secrets with which the node pulls the image."""
    runtime_class_name: _OptionalName = None
    """RuntimeClass of the pods, for example nvidia."""
    service_account_name: _OptionalName = None
    """ServiceAccount of the pods, but not of the verification's. Its token is never mounted."""
    security_context: SecurityContext | None = None
    """As whom all pods run, the verification's included. It takes the place of the operator's own (the chart's
    trainer.securityContext: user, group and fsGroup 1000) as a whole: what it leaves out is left to cluster and image,
    so {} lets the cluster assign the user. Pods that share claims should run as the same user."""
    host_users: bool = True
    """False gives all pods a user namespace of their own (Kubernetes 1.33 or later): what breaks out of a container is
    nobody on the node. The file systems of the claims must support id-mapped mounts, which NFS does not."""
    volumes: Annotated[
        list[Volume],
        Field(
            max_length=8,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = []
    """Further folders for the trainer, read-only, at /nnunet/volumes/NAME, but not for the verification. The image's
    digest does not cover what is in them."""
    job_annotations: JobAnnotationMap = {}
    """Annotations of the Jobs, but not of the verification's, for example provreq.kueue.x-k8s.io/maxRunDurationSeconds.
    Those of the operator, of Kubernetes' Job controller and of Kueue's own are not yours to give."""
    topology_spread_constraints: Annotated[list[_Part], Field(max_length=32, json_schema_extra=_opaque("array"))] = []
    """How the folds spread over nodes or zones."""
