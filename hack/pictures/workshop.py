"""The renderer's workshop: its npm packages, installed once for each lock file, and what is built with them.

The packages are in the cache, which checkouts may share; what is built with them is in the checkout."""

import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from hack.fetch import fetch
from hack.localcluster.console import Console
from hack.localcluster.errors import ClusterError
from hack.localcluster.layout import REPOSITORY, cache_root
from hack.localcluster.once import made_once
from hack.localcluster.packages import ensure_packages

SOURCE = Path(__file__).parent / "renderer"
PROGRAMS = {"node": "nodejs", "npm": "npm", "chromium": "chromium fonts-liberation"}
"""What has to be on the PATH, and the Debian package that has it."""
MIN_NODE = 18
_BUNDLING = (
    "--bundle",
    "--format=iife",
    "--jsx=automatic",
    "--define:process.env.NODE_ENV='production'",
    "--loader:.ttf=empty",
)


class WorkshopError(Exception):
    """Something is missing or does not build; the message says what to do."""


def ensure_programs(console: Console) -> None:
    """Install missing programs with apt-get. Raises WorkshopError naming them where this is not possible."""
    try:
        ensure_packages(console, PROGRAMS)
    except ClusterError as error:
        raise WorkshopError(str(error)) from None
    version = _run(["node", "--version"], Path("/")).strip()
    if int(version.lstrip("v").split(".")[0]) < MIN_NODE:
        raise WorkshopError(f"node {version} is too old: {MIN_NODE} or later is needed, Debian 12 has 18")


class Workshop:
    """A folder beside the npm packages; the renderer's sources are copied into it for each build."""

    def __init__(self, console: Console | None = None) -> None:
        """Install what is missing. Raises WorkshopError where that fails."""
        self._console = console or Console()
        ensure_programs(self._console)
        lock = (SOURCE / "package-lock.json").read_bytes()
        packages = cache_root() / f"npm-{hashlib.sha256(lock).hexdigest()[:12]}"
        made_once(packages, lambda: self._install(packages))
        self.folder = REPOSITORY / ".cache" / "dashboards"
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder.parent / "dashboards.lock").open("w") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)  # a second process copies the same
            shutil.rmtree(self.folder / "src", ignore_errors=True)
            shutil.copytree(SOURCE, self.folder, dirs_exist_ok=True)
            modules = self.folder / "node_modules"
            if not modules.is_symlink() or modules.readlink() != packages / "node_modules":
                modules.unlink(missing_ok=True)
                modules.symlink_to(packages / "node_modules")

    @property
    def icons(self) -> Path:
        """Grafana's icons."""
        return self.folder / "node_modules/@grafana/ui/dist/public/img/icons"

    def bundle(self) -> Path:
        """Return the folder that holds the page as page.js: built once for each content of the renderer's sources."""
        folder = cache_root() / f"page-{_digest(*_BUNDLING)}"
        return made_once(folder, lambda: self._bundle(folder))

    def _bundle(self, folder: Path) -> None:
        partial = folder.with_name(f"{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        self.tool("esbuild", "src/main.tsx", *_BUNDLING, f"--outfile={partial / 'page.js'}", "--log-level=warning")
        partial.rename(folder)

    def check(self, dashboards: Iterable[Path]) -> None:
        """Check the renderer's types, and dashboards against Grafana's schema.

        Raises WorkshopError with what the compiler says.
        """
        for path in dashboards:
            text = path.read_text(encoding="utf-8").strip()
            satisfies = f"import type {{ CheckedDashboard }} from './schema';\n({text}) satisfies CheckedDashboard;\n"
            (self.folder / "src" / f"check-{path.stem}.ts").write_text(satisfies, encoding="utf-8")
        # The renderer's own types take three times as long, and are the same until it or its packages change.
        checked = cache_root() / f"renderer-{_digest()}"
        made_once(checked, lambda: self._check_own(checked))
        self.tool("tsc", "--project", "tsconfig.dashboards.json")

    def _check_own(self, checked: Path) -> None:
        self.tool("tsc", "--project", ".")
        checked.touch()

    def tool(self, name: str, *arguments: str) -> str:
        """Run a program of an npm package and return what it printed. Raises WorkshopError where it fails."""
        return _run([f"node_modules/.bin/{name}", *arguments], self.folder)

    def node(self, script: str, *arguments: str) -> str:
        """Run one of the renderer's scripts and return what it printed. Raises WorkshopError where it fails."""
        return _run(["node", script, *arguments], self.folder)

    def _install(self, packages: Path) -> None:
        self._console.say("installing the npm packages of the renderer (half a minute)")
        partial = packages.with_name(f"{packages.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCE / name, partial)
        done = fetch(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=partial, timeout=600)
        if done.returncode:
            raise WorkshopError(f"npm ci failed:\n{(done.stdout + done.stderr)[-3000:]}")
        partial.rename(packages)


def _digest(*more: str) -> str:
    """Return what tells the renderer's sources, and `more`, from others."""
    files = (file.read_bytes() for file in sorted(SOURCE.rglob("*")) if file.is_file())
    return hashlib.sha256(b"".join((*files, *map(str.encode, more)))).hexdigest()[:12]


def _run(command: Sequence[str], folder: Path) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    if done.returncode:
        raise WorkshopError(f"{' '.join(command)[:200]} failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout
