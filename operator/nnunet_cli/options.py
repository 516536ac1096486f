"""Options and arguments that several commands share."""

import functools
import inspect
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

import typer

from nnunet_cli.completion import complete_contexts, complete_namespaces, complete_trainings
from nnunet_cli.kube.connection import connection_of, seconds
from nnunet_cli.volumes.access import IMAGE_VARIABLE


def duration_of(text: str) -> float:
    """Return the seconds of a duration on the command line."""
    try:
        return seconds(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _pair(text: str) -> str:
    if not text.partition("=")[0] or "=" not in text:
        raise typer.BadParameter(f"{text!r} is not of the form KEY=VALUE")
    return text


_FLAGS: dict[str, Any] = {
    "kubeconfig": Annotated[
        str | None,
        typer.Option(
            "--kubeconfig", metavar="FILE", help="kubeconfig file. Default: as for kubectl.", show_default=False
        ),
    ],
    "context": Annotated[
        str | None,
        typer.Option(
            "--context",
            metavar="NAME",
            help="Context of the kubeconfig. Default: the current one.",
            autocompletion=complete_contexts,
        ),
    ],
    "cluster": Annotated[
        str | None, typer.Option("--cluster", metavar="NAME", help="Cluster of the kubeconfig, not the context's.")
    ],
    "user": Annotated[
        str | None, typer.Option("--user", metavar="NAME", help="User of the kubeconfig, not the context's.")
    ],
    "as_user": Annotated[str | None, typer.Option("--as", metavar="USER", help="Act as this user.")],
    "as_uid": Annotated[str | None, typer.Option("--as-uid", metavar="UID", help="With --as: their UID.")],
    "as_groups": Annotated[
        list[str] | None,
        typer.Option("--as-group", metavar="GROUP", help="With --as: a group of theirs; may be repeated."),
    ],
    "as_user_extra": Annotated[
        list[str] | None,
        typer.Option(
            "--as-user-extra",
            metavar="KEY=VALUE",
            parser=_pair,
            help="With --as: more about them; may be repeated.",
        ),
    ],
    "request_timeout": Annotated[
        float | None,
        typer.Option(
            "--request-timeout", metavar="DURATION", parser=duration_of, help="For one request: 30s, 2m; 0 is no limit."
        ),
    ],
}
"""kubectl's flags on the cluster, by the field of Connection that takes them."""


def asks_cluster(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command kubectl's flags on the cluster; what they say is its parameter `to`, a Connection."""
    own = inspect.signature(command)
    flags = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=flag)
        for name, flag in _FLAGS.items()
    ]

    @functools.wraps(command)
    def run(**given: Any) -> None:
        to = connection_of({name: given.pop(name) for name in _FLAGS})
        command(**given, to=to)

    shown = [parameter for parameter in own.parameters.values() if parameter.name != "to"] + flags
    # What typer makes the options of.
    run.__signature__ = own.replace(parameters=shown)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    return run


Namespace = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        "-n",
        help="Namespace. Default: that of the context.",
        show_default=False,
        autocompletion=complete_namespaces,
    ),
]
AllNamespaces = Annotated[
    bool, typer.Option("--all-namespaces", "-A", help="All namespaces whose trainings you may read.")
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the training.", autocompletion=complete_trainings)]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Only write it; don't wait for the operator.")]
Timeout = Annotated[
    float, typer.Option("--timeout", min=1, metavar="SECONDS", help="How long to wait for the operator.")
]
HelperImage = Annotated[
    str | None,
    typer.Option(
        "--image",
        metavar="IMAGE",
        envvar=IMAGE_VARIABLE,
        help="Image of the helper pod, with python3. Default: the trainer image that the operator was installed with.",
        show_default=False,
    ),
]
HelperTimeout = Annotated[
    float, typer.Option("--timeout", min=1, metavar="SECONDS", help="How long to wait for the helper pod to run.")
]


class TextOutput(StrEnum):
    """How something is written that people read as text."""

    TEXT = "text"
    JSON = "json"
    YAML = "yaml"


Output = Annotated[TextOutput, typer.Option("--output", "-o", help="Form of the output.")]


def one_or_all(namespace: str | None, all_namespaces: bool) -> None:
    """Refuse a namespace together with all of them."""
    if namespace and all_namespaces:
        raise typer.BadParameter("give one of them, not both", param_hint="--namespace, --all-namespaces")
