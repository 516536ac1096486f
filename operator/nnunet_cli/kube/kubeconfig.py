"""Reading the kubeconfig as kubectl does, by the official client; what is wrong with it is said in words."""

import os
import re
from pathlib import Path
from typing import Any

import yaml

from nnunet_cli.errors import CliError, ExitCode


class NoKubeconfig(CliError):
    """There is no kubeconfig that can be used."""

    def __init__(self, why: str) -> None:
        words = f"the kubeconfig can't be used: {why}. Give --kubeconfig and --context"
        super().__init__(words, ExitCode.CLUSTER)


def client_and_namespace(kubeconfig: str | None, context: str | None, settings: Any) -> tuple[Any, str]:
    """Return a client with these settings, and the namespace of the context. Raises NoKubeconfig."""
    # Loading the client takes longer than everything that works without a cluster.
    from kubernetes import config
    from kubernetes.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION

    try:
        client = config.new_client_from_config(kubeconfig, context, client_configuration=settings)
        contexts, current = config.list_kube_config_contexts(kubeconfig)
        chosen = next((entry for entry in contexts if entry["name"] == context), current)
        return client, chosen["context"].get("namespace") or "default"
    except (config.ConfigException, OSError, ValueError, yaml.YAMLError) as error:
        # The client quotes entries whole, with the tokens that may be in them.
        said = re.sub(r"/\{.*\}", "", " ".join(str(error).split())).rstrip(".")
    except (TypeError, AttributeError, KeyError):  # the client takes for granted that it has the form of one
        said = "it has not the form of one"
    raise NoKubeconfig(_wrong_file(kubeconfig or KUBE_CONFIG_DEFAULT_LOCATION) or said)


def _wrong_file(paths: str) -> str:
    """Return which of the files can't be read as a kubeconfig, and why; empty where all can."""
    given = [Path(path).expanduser() for path in paths.split(os.pathsep) if path]
    there = [path for path in given if path.exists()]
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
