"""The commands, put together."""

from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from nnunet_cli.audit.command import audit
from nnunet_cli.compare.command import compare
from nnunet_cli.curves.command import curves
from nnunet_cli.datasets import command as dataset
from nnunet_cli.explain.command import explain
from nnunet_cli.export.command import export
from nnunet_cli.lint.command import lint
from nnunet_cli.list.command import list_
from nnunet_cli.logs.command import logs
from nnunet_cli.predict.command import predict
from nnunet_cli.predict.predictions import predictions
from nnunet_cli.report.command import report
from nnunet_cli.rights.command import rights
from nnunet_cli.suspend.resume import resume
from nnunet_cli.suspend.suspend import suspend
from nnunet_cli.text.output import say
from nnunet_cli.wait.command import wait
from nnunet_cli.watch.command import watch

HELP = "Look after nnU-Net trainings on Kubernetes: check, follow, explain and stop them, fetch and list what was run."


class Commands(TyperGroup):
    """The commands; what is wrong with a word is said without the name of an exception before it."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            # typer's own exceptions of wrong usage; their class is private.
            said = getattr(error, "message", None)
            if isinstance(said, str) and hasattr(error, "format_message"):
                vars(error)["message"] = said.removeprefix("Value error, ")
            raise


app = typer.Typer(
    name="nnunetctl",
    cls=Commands,
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


# In the list of commands there is room for so much; by themselves they would be cut in the middle of a sentence.
app.command("list", short_help="List trainings, and what is going on.")(list_)
app.command(short_help="Follow a training live until it has ended.")(watch)
app.command(short_help="Wait until a training has ended, for scripts.")(wait)
app.command(short_help="Explain why a training does not run.")(explain)
app.command(short_help="Print the log that matters now, or follow all.")(logs)
app.command(short_help="Stop a training and free its GPUs.")(suspend)
app.command(short_help="Let a suspended training go on.")(resume)
app.command(short_help="Fetch the report or another file of a run.")(report)
app.command(short_help="Draw losses, pseudo-Dice and learning rate.")(curves)
app.command(short_help="Fetch the model as a zip that nnU-Net installs.")(export)
app.command(short_help="Segment new images by a model, in the cluster.")(predict)
app.command(short_help="List what predictions have left, or remove it.")(predictions)
app.command(short_help="Tell whether a training is as good as another.")(compare)
app.command(short_help="Check trainings before they are applied.")(lint)
app.command(short_help="List all runs for those who answer for them.")(audit)
app.command(short_help="List who can get around policies or evidence.")(rights)
app.add_typer(dataset.app, name="dataset")
