"""Commands to look further at a training. {name}, {namespace}, {label} (of its pods) and {gpu} are to be filled in,
and {uids} of its Jobs."""

from nnunet_api.base import GROUP
from nnunet_api.kueue import GROUP as KUEUE
from nnunet_api.kueue import JOB_UID_LABEL
from nnunet_api.labels import TRAINING_LABEL

PODS = f"kubectl -n {{namespace}} describe pods -l {TRAINING_LABEL}={{label}}"
DESCRIBE = "kubectl -n {namespace} describe nnt {name}"
LOGS = "kubectl nnunet logs {name} -n {namespace}"
WATCH = "kubectl nnunet watch {name} -n {namespace}"
AUDIT = "kubectl nnunet audit -n {namespace}"
POLICIES = f"kubectl get nnunettrainingpolicies.{GROUP} -o yaml"
JOBS = f"kubectl -n {{namespace}} describe jobs -l {TRAINING_LABEL}={{label}}"
WORKLOADS = f"kubectl -n {{namespace}} describe workloads.{KUEUE} -l '{JOB_UID_LABEL} in ({{uids}})'"
QUOTA = "kubectl -n {namespace} describe resourcequota"
CLAIMS = "kubectl -n {namespace} describe pvc"
NAMESPACE = "kubectl get namespace {namespace} --show-labels"
VERIFY_LOGS = f"{LOGS} --stage verify"
OPERATOR = (
    "kubectl get pods --all-namespaces -l app.kubernetes.io/name=nnunet-operator",
    "kubectl -n nnunet-system logs deployment/nnunet-operator --tail=50",
)
