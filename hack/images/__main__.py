"""`python -m hack.images build|ref NAME...`: build the images, or say what they are called."""

import argparse
import sys

from hack.images import NAMES, ImageError, ensure, reference


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m hack.images", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for command, text in (
        ("build", "build images that are not built yet (environment: BASE_IMAGE for the trainer)"),
        ("ref", "print the references of the images as of the present sources"),
    ):
        sub = commands.add_parser(command, help=text)
        sub.add_argument("names", nargs="*", choices=NAMES, default=["operator", "trainer"], metavar="NAME")
    options = parser.parse_args()
    try:
        made = (
            ensure(options.names) if options.command == "build" else {name: reference(name) for name in options.names}
        )
    except ImageError as error:
        print(f"images: {error}", file=sys.stderr)
        return 1
    for value in made.values():
        print(value)
    return 0


if __name__ == "__main__":
    sys.exit(main())
