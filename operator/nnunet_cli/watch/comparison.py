"""Follows a comparison: a line whenever it moves on, until it has a verdict, has failed, or is gone."""

import time

from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.kube.cluster import Cluster, Object
from nnunet_cli.kube.comparisons import find_comparison, read
from nnunet_cli.text.output import note, say


def watch_comparison(cluster: Cluster, body: Object, once: bool, interval_seconds: float) -> None:
    """Say how a comparison gets on. Raises CliError where it failed or was deleted, or can't be read at first."""
    found, uid, said = read(body), body["metadata"]["uid"], ""
    while True:
        words = f"{found.status.phase or 'Pending'}: {found.status.summary or found.message}".rstrip(": ")
        if words != said:
            said = words
            say(f"{found.namespace}/{found.name} {words}")
        if once or found.finished:
            break
        time.sleep(interval_seconds)
        try:
            now = find_comparison(cluster, found.namespace, found.name)
        except CliError as error:
            note(f"no news, still trying: {error}")
            continue
        if now is None or now["metadata"]["uid"] != uid:
            raise CliError(f"{found.namespace}/{found.name} was deleted meanwhile", ExitCode.FOUND)
        found = read(now)
    if found.failed:
        raise CliError(f"{found.namespace}/{found.name} has no verdict", ExitCode.FOUND)
