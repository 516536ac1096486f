"""`python -m hack.images build|ref|lock|check`: build the images, say what they are called, lock what is installed."""

import argparse
import subprocess
import sys

from hack.images import LOCKS, NAMES, ImageError, ensure, reference
from hack.images.locks import locks, problems, renew
from hack.images.sbom import write_sbom


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m hack.images", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for command, text in (
        (
            "build",
            "build images that are not built yet, and say what is in them (environment: GPU=1 for a trainer on GPUs, "
            "or BASE_IMAGE for one on a base of your own)",
        ),
        ("ref", "print the references of the images as of the present sources"),
    ):
        sub = commands.add_parser(command, help=text)
        sub.add_argument("names", nargs="*", choices=NAMES, default=["operator", "trainer"], metavar="NAME")
    lock = commands.add_parser("lock", help="write the lock files; versions that still fit stay")
    lock.add_argument("--upgrade", action="store_true", help="take the newest versions")
    commands.add_parser("check", help="fail if the lock files are not those of pyproject.toml; asks no index")
    options = parser.parse_args()
    try:
        return _run(options)
    except (ImageError, subprocess.CalledProcessError) as error:
        print(f"images: {error}", file=sys.stderr)
        return 1


def _run(options: argparse.Namespace) -> int:
    if options.command == "lock":
        for lock in locks().values():
            renew(lock, options.upgrade)
            print(lock.path)
        return 0
    if options.command == "check":
        found = [problem for lock in locks().values() for problem in problems(lock)]
        print("\n".join(found), file=sys.stderr, end="\n" if found else "")
        return 1 if found else 0
    if options.command == "ref":
        made = {name: reference(name) for name in options.names}
    else:
        made = ensure(options.names)
        for name in LOCKS.keys() & made.keys():
            write_sbom(name, made[name])
    for value in made.values():
        print(value)
    return 0


if __name__ == "__main__":
    sys.exit(main())
