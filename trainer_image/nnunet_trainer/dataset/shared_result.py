"""A result of planning and preprocessing that trainings share: found as a whole, or put in place as a whole."""

import errno
import glob
import logging
import os
import secrets
import shutil
import socket
import time
from pathlib import Path

from nnunet_api.contract import IMAGE_DIGEST_ENV, IMAGE_ENV, PlanFacts, RunContract
from nnunet_api.dataset.splits import SPLITS_FILE
from nnunet_trainer.dataset.contents import Contents, read_contents
from nnunet_trainer.dataset.identity import file_hash
from nnunet_trainer.dataset.manifest import differing, read_manifest
from nnunet_trainer.process.files import TEMPORARY, read_json
from nnunet_trainer.run.paths import has_preprocessed_data
from nnunet_trainer.run.properties import unreadable_properties

log = logging.getLogger(__name__)

FACTS_FILE = "plan.json"
"""In the preprocessed folder: `PlanFacts` of the attempt that made it."""
_PASSING = "passing"
_PASSED_SECONDS = 7 * 86400.0
"""Age at which a folder counts as left behind that was made without the lock."""
_IMAGE = {"image": IMAGE_ENV, "imageDigest": IMAGE_DIGEST_ENV}


def existing_result(contract: RunContract, folder: Path, digest: str) -> tuple[PlanFacts, Contents | None] | None:
    """Return the facts of a result that is there as a whole, and what its cases hold; None where it has to be made.

    What the cases hold is None where they were looked at for less than now. The hashes in the facts are computed here,
    and `digest` is the dataset's: what a file says of them is not believed.
    """
    manifest = read_manifest(folder)
    try:
        facts = PlanFacts.model_validate(read_json(folder / FACTS_FILE))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    if manifest is None or not has_preprocessed_data(contract, folder, facts.plans_name):
        log.warning("%s is incomplete and is made again", folder.name)
        return None
    if wrong := differing(folder, manifest, contract.processes):
        log.warning("%s is not as it was made and is made again: %s", folder.name, wrong)
        return None
    home = folder / contract.dataset
    # The manifest is as easily rewritten as they are, and older releases made what folds don't read any more.
    for cases in sorted({path.parent for path in home.glob("*/*.pkl")}):
        if refused := unreadable_properties(cases):
            log.warning("%s is made again, as no fold reads %s/%s", folder.name, cases.name, refused)
            return None
    splits = home / SPLITS_FILE
    stated = {
        "dataset_hash": digest,
        "plans_hash": file_hash(home / f"{facts.plans_name}.json"),
        "splits_hash": file_hash(splits) if splits.is_file() else "",
        "preprocessed_key": folder.name,
    }
    return facts.model_copy(update=stated), read_contents(folder)


def put_in_place(contract: RunContract, temporary: Path, folder: Path, facts: PlanFacts) -> PlanFacts:
    """Give a finished result its name, or return the facts of one that another attempt has made meanwhile.

    What is there and not whole makes room only now, all at once: folds of other trainings may be reading it.
    """
    try:
        temporary.rename(folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        if found := existing_result(contract, folder, facts.dataset_hash):
            log.info("another attempt has made %s meanwhile", folder.name)
            shutil.rmtree(temporary)
            return found[0].model_copy(update={"reused": True})
        aside = temporary_folder(folder)
        folder.rename(aside)
        temporary.rename(folder)
        shutil.rmtree(aside, ignore_errors=True)
    return facts


def remove_leftovers(folder: Path) -> None:
    """Remove what killed attempts left of this result. Only for who holds its lock: others may work without it."""
    now = time.time()
    for leftover in folder.parent.glob(f"{TEMPORARY}{glob.escape(folder.name)}-*"):
        if f"-{_PASSING}-" not in leftover.name or now - leftover.lstat().st_mtime > _PASSED_SECONDS:
            log.info("removing what is left of an earlier attempt: %s", leftover.name)
            shutil.rmtree(leftover, ignore_errors=True)


def temporary_folder(folder: Path, passing: bool = False) -> Path:
    """Return where this attempt makes a result; `passing` by a lock that another one holds.

    The name is of this attempt's own: one that lost its lock without knowing it, on a node that was cut off, must not
    rename what another one is writing. Its own rename fails, as the folder of that name is gone or the result is there.
    """
    return folder.with_name(f"{TEMPORARY}{folder.name}-{f'{_PASSING}-' if passing else ''}{secrets.token_hex(8)}")


def who(contract: RunContract) -> str:
    """Name this attempt to others that wait for it; a pod's host name is its own."""
    return f"planning of {contract.namespace}/{contract.name} in pod {socket.gethostname()}"


def maker(contract: RunContract) -> dict[str, str]:
    """Return who makes a result, for its manifest."""
    known = {"training": f"{contract.namespace}/{contract.name}", "uid": contract.uid}
    return known | {name: os.environ[variable] for name, variable in _IMAGE.items() if os.environ.get(variable)}
