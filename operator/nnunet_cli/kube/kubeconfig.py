"""Reading the kubeconfig as kubectl does, by the official client; what is wrong with it is said in words."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.kube.impersonation import Headers, headers_of, impersonate


class NoKubeconfig(CliError):
    """There is no kubeconfig that can be used."""

    def __init__(self, why: str) -> None:
        words = f"the kubeconfig can't be used: {why}. Give --kubeconfig and --context"
        super().__init__(words, ExitCode.CLUSTER)


@dataclass(frozen=True)
class Login:
    """What a kubeconfig says of a context."""

    client: Any
    """kubernetes.client.ApiClient; acts as whom the kubeconfig says."""
    namespace: str
    impersonation: Headers
    """What websockets, which the client does not open itself, have to send to act as the same."""


def log_in(kubeconfig: str | None, context: str | None, settings: Any) -> Login:
    """Return a client with these settings, for a context or the current one. Raises NoKubeconfig."""
    # Loading the client takes longer than everything that works without a cluster.
    from kubernetes import config
    from kubernetes.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION

    paths = kubeconfig or KUBE_CONFIG_DEFAULT_LOCATION
    try:
        bodies = [yaml.safe_load(path.read_bytes()) for path in _files(paths)]
        context = context or _current_context(bodies)
        client = config.new_client_from_config(kubeconfig, context, client_configuration=settings)
        chosen = _entry(bodies, "context", context)
        impersonation = headers_of(_entry(bodies, "user", chosen.get("user")))
        if impersonation:
            impersonate(client, impersonation)
        return Login(client, chosen.get("namespace") or "default", impersonation)
    except (config.ConfigException, OSError, ValueError, yaml.YAMLError) as error:
        # The client quotes entries whole, with the tokens that may be in them.
        said = re.sub(r"/\{.*\}", "", " ".join(str(error).split())).rstrip(".")
    except (TypeError, AttributeError, KeyError):  # the client takes for granted that it has the form of one
        said = "it has not the form of one"
    raise NoKubeconfig(_wrong_file(paths) or said)


def _current_context(bodies: Iterable[Any]) -> str | None:
    """Return the current context: the first file that names one decides, as in kubectl; the client takes the last."""
    for body in bodies:
        if isinstance(body, dict) and body.get("current-context"):
            return str(body["current-context"])
    return None


def _entry(bodies: Iterable[Any], kind: str, name: str | None) -> dict[str, Any]:
    """Return a context or a user: the first file that has it decides, as in kubectl."""
    entries = (entry for body in bodies if body for entry in body.get(f"{kind}s") or [] if entry["name"] == name)
    return next((entry[kind] for entry in entries if entry.get(kind)), {})


def _files(paths: str) -> list[Path]:
    given = [Path(path).expanduser() for path in paths.split(os.pathsep) if path]
    return [path for path in given if path.exists()]


def _wrong_file(paths: str) -> str:
    """Return which of the files can't be read as a kubeconfig, and why; empty where all can."""
    given = [Path(path).expanduser() for path in paths.split(os.pathsep) if path]
    there = _files(paths)
    for path in there:
        try:
            body = yaml.safe_load(path.read_bytes())
        except OSError as error:
            return f"{path} can't be read: {error.strerror}"
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            return f"{path} is no YAML that can be read: {_problem(error)}"
        if not isinstance(body, dict):
            return f"{path} is no kubeconfig: {'it is empty' if body is None else 'it holds no fields'}"
    return "" if there else f"there is no file {' or '.join(map(str, given))}"


def _problem(error: Exception) -> str:
    """Return what a parser found and where; not the line itself, which may hold a token."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return str(error).splitlines()[0]
