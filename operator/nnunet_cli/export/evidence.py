"""Hashes of checkpoints of which the status has the first digits alone, where there are many fold runs. Pure."""

import hashlib
from dataclasses import replace

from pydantic import ValidationError

from nnunet_api.contract import EVIDENCE_FILE, SHA256_DIGITS, EvidenceFacts
from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.kube.watched import Watched

MOST_MIB = 16
"""An evidence.json has some kB."""


def needs_evidence(found: Watched) -> bool:
    """Tell whether the status has too few digits of a checkpoint's hash to tell it from another file."""
    return any(0 < len(one.checkpoint_hash or "") < SHA256_DIGITS for one in found.status.folds)


def with_whole_hashes(found: Watched, evidence: bytes) -> Watched:
    """Return the training with the hashes that evidence.json has, which must be the one of its verification.

    Raises CliError.
    """
    known = found.status.provenance.evidence_hash if found.status.provenance else None
    words = f"{EVIDENCE_FILE} of {found.namespace}/{found.name}"
    if hashlib.sha256(evidence).hexdigest() != known:
        what = f"{words} is not the one that its verification wrote, and the status alone has too few digits of the"
        raise CliError(f"{what} checkpoints' hashes. Restore it, or train anew", ExitCode.FOUND)
    try:
        proven = {one.fold: one.checkpoint_hash for one in EvidenceFacts.model_validate_json(evidence).folds}
    except ValidationError as error:
        raise CliError(f"{words} can't be read: {' '.join(str(error).split())[:300]}", ExitCode.FOUND) from None
    folds = []
    for one in found.status.folds:
        told, whole = one.checkpoint_hash or "", proven.get(one.name, "")
        if told and not (len(whole) == SHA256_DIGITS and whole.startswith(told)):
            raise CliError(f"{words} has another hash of fold {one.name} than the status", ExitCode.FOUND)
        folds.append(one.model_copy(update={"checkpoint_hash": whole or None}))
    return replace(found, status=found.status.model_copy(update={"folds": folds}))
