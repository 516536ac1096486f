"""What the API server says when it refuses to create a pod or a Job, sorted into what there is to do. Pure."""

from nnunet_api.remedies.remedy import Case

_CASES = {
    "failed calling webhook": Case.WEBHOOK,
    "exceeded quota": Case.QUOTA,
    "insufficient quota to match these scopes": Case.QUOTA,
    "must specify": Case.UNSPECIFIED,
    "No limit is specified": Case.UNSPECIFIED,
    "No request is specified": Case.UNSPECIFIED,
    "PodSecurity": Case.POD_SECURITY,
    "security context constraint": Case.POD_SECURITY,
    "usage per": Case.LIMITS,
    "limit to request ratio": Case.LIMITS,
    "must be less than or equal to": Case.LIMITS,
    "no PriorityClass with name": Case.ABSENT,
    "error looking up service account": Case.ABSENT,
    "RuntimeClass": Case.ABSENT,
    "is invalid:": Case.INVALID,
    "cannot create resource": Case.RIGHTS,
}
"""By its words, as a refusal has no other structure: the first that fits."""


def case_of(message: str) -> str:
    """Return the Case of a refusal; empty where its words tell none."""
    return next((case for words, case in _CASES.items() if words in message), "")
