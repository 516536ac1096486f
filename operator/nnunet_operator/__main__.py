"""The command `nnunet-operator`."""

import argparse
import asyncio
import logging
import sys

from nnunet_operator.handlers import register
from nnunet_operator.metrics import package_version
from nnunet_operator.runtime.app import OperatorDied, run_operator
from nnunet_operator.runtime.logs import configure_logging
from nnunet_operator.runtime.patience import USUAL, Patience
from nnunet_operator.settings import SettingsError, describe_settings, load_settings

log = logging.getLogger("nnunet_operator")

EXIT_USAGE = 64
EXIT_FAILED = 1


def main(argv: list[str] | None = None, patience: Patience = USUAL) -> int:
    """Run the operator; return the exit code: 0 stopped by a signal, 1 died, 64 wrong settings."""
    parser = argparse.ArgumentParser(
        prog="nnunet-operator",
        description="Train nnU-Net v2 on Kubernetes. Settings are environment variables:\n\n" + describe_settings(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=package_version())
    parser.parse_args(argv)
    try:
        settings = load_settings()
    except SettingsError as error:
        print(f"nnunet-operator: {error}", file=sys.stderr)  # noqa: T201 logging is one of the settings
        return EXIT_USAGE
    configure_logging(settings.log_level, settings.log_format)
    try:
        asyncio.run(run_operator(settings, register, patience))
    except OperatorDied:
        return EXIT_FAILED  # it was logged where it happened
    except Exception:
        log.exception("the operator can't run")
        return EXIT_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
