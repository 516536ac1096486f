"""Options and arguments that several commands share."""

from enum import StrEnum
from typing import Annotated

import typer

from nnunet_cli.completion import complete_trainings
from nnunet_cli.volumes.access import IMAGE_VARIABLE

Kubeconfig = Annotated[
    str | None,
    typer.Option("--kubeconfig", metavar="FILE", help="kubeconfig file. Default: as for kubectl.", show_default=False),
]
Context = Annotated[
    str | None,
    typer.Option("--context", metavar="NAME", help="Context of the kubeconfig. Default: the current one."),
]
Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", help="Namespace. Default: that of the context.", show_default=False)
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
