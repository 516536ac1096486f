"""The commands, put together."""

from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from nnunet_cli.audit.command import audit
from nnunet_cli.compare.command import compare
from nnunet_cli.curves.command import curves
from nnunet_cli.datasets import command as dataset
from nnunet_cli.explain.command import explain
from nnunet_cli.lint.command import lint
from nnunet_cli.list.command import list_
from nnunet_cli.logs.command import logs
from nnunet_cli.report.command import report
from nnunet_cli.rights.command import rights
from nnunet_cli.suspend.resume import resume
from nnunet_cli.suspend.suspend import suspend
from nnunet_cli.text.output import say
from nnunet_cli.watch.command import watch

HELP = "Look after nnU-Net trainings on Kubernetes: check, follow, explain and stop them, fetch and list what was run."

app = typer.Typer(
    name="nnunetctl",
    help=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)


def _version(asked: bool) -> None:
    if asked:
        try:
            say(version("nnunet-operator"))
        except PackageNotFoundError:
            say("unknown")
        raise typer.Exit


@app.callback(help=HELP)
def common(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Only for the options."""


app.command("list")(list_)
app.command()(watch)
app.command()(explain)
app.command()(logs)
app.command()(suspend)
app.command()(resume)
app.command()(report)
app.command()(curves)
app.command()(compare)
app.add_typer(dataset.app, name="dataset")
app.command()(lint)
app.command()(audit)
app.command()(rights)
