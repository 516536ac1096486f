"""Remedies of what only this program sees. Those of the operator's reasons are in its table, `api.remedies`."""

from nnunet_api.reasons import Reason
from nnunet_api.remedies.commands import AUDIT, DESCRIBE, LOGS, OPERATOR, PODS, POLICIES, WATCH
from nnunet_api.remedies.remedy import ASK_FOR_EXCEPTION, Case, Group, Remedy
from nnunet_api.remedies.table import REMEDIES
from nnunet_cli.text.concerns import EARLY_STOP_BELOW_POLICY

_SUSPEND = "kubectl nnunet suspend {name} -n {namespace}"

OF_FOLDS: dict[str, Remedy] = {
    Reason.LOSS_NOT_FINITE: Remedy(
        Group.WORKS,
        "it trains, and what it learns is worth little or nothing",
        f"Suspend it until the cause is found: {_SUSPEND}. If the loss was so from the first epochs on, look for NaN "
        "or infinite voxels in the raw data, or create a new training with a lower spec.schedule.initialLearningRate. "
        "If it came suddenly after many epochs, let it go on once from its last checkpoint: kubectl nnunet resume "
        "{name} -n {namespace}. If it comes back at other epochs, and on one node only, have that node's GPU checked.",
        look=(LOGS, PODS, "kubectl nnunet curves {name} -n {namespace}"),
    ),
    EARLY_STOP_BELOW_POLICY: Remedy(
        Group.WORKS,
        "it trains, and it will fail: its checkpoints will prove fewer epochs than a policy asks for",
        f"Suspend it: {_SUSPEND}. If a trainer class or an image of your own ends early, create a new training without "
        f"it. If fewer epochs are wanted, {ASK_FOR_EXCEPTION}, and resume it then.",
        look=(WATCH, AUDIT, POLICIES),
    ),
}
"""By what is wrong with folds that train."""

DELETING = Remedy(
    Group.WORKS,
    "it is being deleted",
    "Wait until its pods have ended. If it stays for minutes, look at its finalizers and at pods on lost nodes.",
    look=("kubectl -n {namespace} get nnt {name} -o yaml", PODS),
    cases={Case.FINALIZER: REMEDIES[Reason.STOPPING].cases[Case.FINALIZER]},
)
NEW = Remedy(
    Group.WORKS,
    "it was created a moment ago, and the operator has not looked at it yet",
    "Wait a minute, and ask again.",
    look=(DESCRIBE, "kubectl nnunet list -n {namespace}"),
)
NO_OPERATOR = Remedy(
    Group.WAITS,
    "no operator has looked at it, although it was created {age} ago: the operator does not run, can't reach the API "
    "server, or does not watch namespace {namespace}",
    "Ask who runs the cluster to look at the operator. It picks the training up by itself when it is back.",
    look=OPERATOR,
)
STATUS_REFUSED = Remedy(
    Group.WAITS,
    "the operator looks at it, and can't say so: its status is refused",
    "Ask who runs the cluster about the webhook or the right that is named. What runs goes on meanwhile.",
    look=(DESCRIBE, OPERATOR[0]),
)
UNREADABLE = Remedy(
    Group.WAITS,
    "its status can't be read by this program",
    "Use a kubectl nnunet of the operator's version (kubectl nnunet --version).",
    look=(DESCRIBE,),
)
UNKNOWN = Remedy(
    Group.WAITS,
    "the operator gives a reason that this program does not know",
    "Do what the message says. A kubectl nnunet of the operator's version may know more.",
    look=(DESCRIBE, OPERATOR[0]),
)
