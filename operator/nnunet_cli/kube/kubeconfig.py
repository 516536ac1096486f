"""Reading the kubeconfig as kubectl does, by the official client; what is wrong with it is said in words."""

import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from nnunet_cli.errors import CliError, ExitCode
from nnunet_cli.kube.connection import Connection
from nnunet_cli.kube.impersonation import Headers, headers_of, impersonate

_CHOSEN = "\0chosen"
"""Name of the context that is added to what was read; no file can hold it."""


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


def log_in(to: Connection, settings: Any) -> Login:
    """Return a client with these settings, for what a connection asks for. Raises NoKubeconfig."""
    # Loading the client takes longer than everything that works without a cluster.
    from kubernetes import client, config
    from kubernetes.config.kube_config import KubeConfigLoader, KubeConfigMerger

    paths = to.kubeconfig or _default()
    try:
        bodies = [yaml.safe_load(path.read_bytes()) for path in _files(paths)]
        merged = KubeConfigMerger(paths)
        if merged.config is None:
            raise config.ConfigException("no configuration found")
        chosen = _chosen(bodies, to)
        merged.config.value["contexts"].append({"name": _CHOSEN, "context": chosen})
        loader = KubeConfigLoader(merged.config, _CHOSEN, config_base_path=None, config_persister=merged.save_changes)
        user = _entry(bodies, "user", chosen.get("user"))
        if provider := user.get("auth-provider"):
            name = provider.get("name") if isinstance(provider, dict) else provider
            raise ValueError(f"its user has the auth-provider {name}, which kubectl does not know any more: use exec")
        _set_proxy(_entry(bodies, "cluster", chosen.get("cluster")).get("proxy-url"), settings)
        with _hearing() as heard:
            loader.load_and_set(settings)
        if token := getattr(loader, "token", ""):
            # A file with a token ends in a line break, as a rule, which kubectl takes off. The client sets it again
            # before each request.
            loader.token = settings.api_key["BearerToken"] = token.strip()
        _check_program(user, settings, heard)
        made = client.ApiClient(settings)
        impersonation = headers_of({**user, **to.acting})
        if impersonation:
            impersonate(made, impersonation)
        return Login(made, chosen.get("namespace") or "default", impersonation)
    except (config.ConfigException, OSError, ValueError, yaml.YAMLError) as error:
        # The client quotes entries whole, with the tokens that may be in them.
        said = re.sub(r"/\{.*\}", "", " ".join(str(error).split())).rstrip(".")
    except (TypeError, AttributeError, KeyError):  # the client takes for granted that it has the form of one
        said = "it has not the form of one"
    raise NoKubeconfig(_wrong_file(paths) or said)


def names_in(kubeconfig: str | None, kind: str) -> list[str]:
    """Return the names of the contexts, users or clusters in a kubeconfig, for completion. Raises as reading does."""
    bodies = [yaml.safe_load(path.read_bytes()) for path in _files(kubeconfig or _default())]
    return [str(entry["name"]) for body in bodies if body for entry in body.get(f"{kind}s") or []]


def _chosen(bodies: list[Any], to: Connection) -> dict[str, Any]:
    """Return the context that counts, with the cluster and the user that take the place of its own.

    Raises ValueError where one that is named does not exist: without its user, the client would go on as nobody.
    """
    name = to.context or _current_context(bodies)
    chosen = dict(_entry(bodies, "context", name))
    if not chosen and (to.context or not (to.cluster and to.user)):
        raise ValueError(f"its context {name} is missing or empty" if name else "it names no current context")
    chosen |= {kind: value for kind, value in (("cluster", to.cluster), ("user", to.user)) if value}
    for kind in ("cluster", "user"):
        named = chosen.get(kind)
        if named and not any(entry["name"] == named for entry in _entries(bodies, kind)):
            raise ValueError(f"it has no {kind} {named}")
    return chosen


def _set_proxy(url: str | None, settings: Any) -> None:
    """Prepare for the proxy of a cluster, which the client takes from the file itself. Raises ValueError."""
    if not url:
        return
    if url.startswith("socks") and not find_spec("socks"):
        raise ValueError(f"its proxy-url {url} asks for SOCKS: install the Python package PySocks beside this program")
    # As for kubectl, what the environment excepts counts for the proxies of the environment alone. Without an entry
    # here, websockets would still except this machine.
    settings.no_proxy = "none.invalid"


def _check_program(user: Mapping[str, Any], settings: Any, heard: list[str]) -> None:
    """Refuse to go on as nobody where the program that gives the credentials failed. Raises ValueError."""
    program = user.get("exec")
    if not program or settings.api_key or settings.cert_file:
        return
    # On a terminal the program has said there itself what is wrong, and the client stumbles over that.
    said = [text.rstrip(".") for text in heard if "NoneType" not in text]
    hint = [" ".join(str(program["installHint"]).split())] if program.get("installHint") else []
    words = f"the program {program.get('command')} of its user gave no credentials"
    raise ValueError(". ".join([": ".join([words, *said]), *hint]))


@contextmanager
def _hearing() -> Iterator[list[str]]:
    """Collect what the client logs meanwhile; it does so where it should raise, and by itself that is printed."""
    heard: list[str] = []

    class Ear(logging.Handler):
        """Takes the words."""

        def emit(self, record: logging.LogRecord) -> None:
            heard.append(" ".join(record.getMessage().split()))

    ear, root = Ear(), logging.getLogger()
    root.addHandler(ear)
    try:
        yield heard
    finally:
        root.removeHandler(ear)


def _current_context(bodies: Iterable[Any]) -> str | None:
    """Return the current context: the first file that names one decides, as in kubectl; the client takes the last."""
    for body in bodies:
        if isinstance(body, dict) and body.get("current-context"):
            return str(body["current-context"])
    return None


def _entries(bodies: Iterable[Any], kind: str) -> Iterator[dict[str, Any]]:
    return (entry for body in bodies if body for entry in body.get(f"{kind}s") or [])


def _entry(bodies: Iterable[Any], kind: str, name: str | None) -> dict[str, Any]:
    """Return a context, a cluster or a user: the first file that has it decides, as in kubectl."""
    named = (entry for entry in _entries(bodies, kind) if entry["name"] == name)
    return next((entry[kind] for entry in named if entry.get(kind)), {})


def _default() -> str:
    """Return the files that kubectl reads where none is named."""
    return os.environ.get("KUBECONFIG") or "~/.kube/config"


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
