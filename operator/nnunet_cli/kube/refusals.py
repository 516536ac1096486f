"""What to do where the API server refuses a pod or a Job that this program asks for. Pure."""

from nnunet_api.refusals import case_of
from nnunet_api.remedies.remedy import Case

AMOUNTS = frozenset({Case.LIMITS, Case.UNSPECIFIED, Case.QUOTA})
"""Refused for what it asks for, or for what it leaves open: less, or more, may pass."""
_OTHERS_DECIDE = ("denied the request", "denied request:", "being terminated")
"""Words of webhooks and of admission policies that say no, and of a namespace that goes."""


def todo(message: str, namespace: str, rights: str) -> str:
    """Return what to do about a refusal; `rights` says which rights it takes, which is what is missing elsewhere."""
    case = case_of(message)
    if case == Case.QUOTA:
        return f"have the quota raised, or free some of it: kubectl -n {namespace} describe resourcequotas"
    if case in AMOUNTS:
        return f"have that changed: kubectl -n {namespace} describe limitranges,resourcequotas"
    if case == Case.WEBHOOK:
        return "a webhook of the cluster does not answer: ask who runs the cluster"
    if case == Case.POD_SECURITY:
        return "ask who runs the cluster about the namespace's Pod Security level, or about its users"
    if case in (Case.ABSENT, Case.INVALID) or any(words in message for words in _OTHERS_DECIDE):
        return "ask who runs the cluster about what is named"
    return rights


def todo_of_prediction(message: str, namespace: str) -> str:
    """Return what to do where a pod that predicts is refused; empty where that is not known."""
    case = case_of(message)
    if case == Case.QUOTA:
        words = f"It goes on once the quota has room (kubectl -n {namespace} describe resourcequotas)"
        return f"{words}; or end it by --delete, and call it again with less --cpu and --memory"
    if case in AMOUNTS:
        fields = "requests.cpu is --cpu, memory is --memory; limits.cpu and ephemeral-storage are "
        fields += "spec.resources.cpuLimit and spec.resources.ephemeralStorage of the training, which may change"
        return f"End it by --delete, and call it again with what is asked for: {fields}"
    return ""
