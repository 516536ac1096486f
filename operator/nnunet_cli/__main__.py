"""Entry point: kubectl-nnunet, nnunetctl, python -m nnunet_cli."""

import sys

from nnunet_cli.app import app
from nnunet_cli.errors import CliError
from nnunet_cli.text.output import note


def main() -> None:
    """Run a command. What stands in its way is said in a line, without a traceback."""
    try:
        app()
    except CliError as error:
        note(f"error: {error}")
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Whoever read the output has seen enough (`| head`). Python would complain once more at its own end.
        sys.stderr.close()
        sys.exit(1)


if __name__ == "__main__":
    main()
