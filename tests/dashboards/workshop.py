"""The renderer's workshop: its npm packages, installed once for each lock file, and what is built with them."""

import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.cluster.console import Console
from tests.cluster.errors import ClusterError
from tests.cluster.layout import cache_root
from tests.cluster.packages import ensure_packages

SOURCE = Path(__file__).parent / "renderer"
PROGRAMS = {"node": "nodejs", "npm": "npm", "chromium": "chromium fonts-liberation"}
"""What has to be on the PATH, and the Debian package that has it."""
MIN_NODE = 18


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
    """A folder in the cache with the npm packages; the renderer's sources are copied into it for each build."""

    def __init__(self, console: Console | None = None) -> None:
        """Install what is missing. Raises WorkshopError where that fails."""
        self._console = console or Console()
        ensure_programs(self._console)
        lock = (SOURCE / "package-lock.json").read_bytes()
        self.folder = cache_root() / f"dashboards-{hashlib.sha256(lock).hexdigest()[:12]}"
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with (self.folder.parent / "dashboards.lock").open("w") as guard:
            fcntl.flock(guard, fcntl.LOCK_EX)  # a second process waits for the first one's installation
            self._install()
            shutil.rmtree(self.folder / "src", ignore_errors=True)
            shutil.copytree(SOURCE, self.folder, dirs_exist_ok=True)

    @property
    def icons(self) -> Path:
        """Grafana's icons."""
        return self.folder / "node_modules/@grafana/ui/dist/public/img/icons"

    def bundle(self) -> Path:
        """Build the page and return the folder that holds it as page.js."""
        options = [
            "--bundle",
            "--format=iife",
            "--jsx=automatic",
            "--define:process.env.NODE_ENV='production'",
            "--loader:.ttf=empty",
        ]
        out = self.folder / "dist"
        self.tool("esbuild", "src/main.tsx", *options, f"--outfile={out / 'page.js'}", "--log-level=warning")
        return out

    def check(self, dashboards: Iterable[Path]) -> None:
        """Check dashboards against Grafana's schema. Raises WorkshopError with what the compiler says."""
        for path in dashboards:
            text = path.read_text(encoding="utf-8").strip()
            checked = f"import type {{ CheckedDashboard }} from './schema';\n({text}) satisfies CheckedDashboard;\n"
            (self.folder / "src" / f"check-{path.stem}.ts").write_text(checked, encoding="utf-8")
        self.tool("tsc", "--project", ".")

    def tool(self, name: str, *arguments: str) -> str:
        """Run a program of an npm package and return what it printed. Raises WorkshopError where it fails."""
        return _run([f"node_modules/.bin/{name}", *arguments], self.folder)

    def node(self, script: str, *arguments: str) -> str:
        """Run one of the renderer's scripts and return what it printed. Raises WorkshopError where it fails."""
        return _run(["node", script, *arguments], self.folder)

    def _install(self) -> None:
        done = self.folder / "node_modules" / ".installed"
        if done.exists():
            return
        self._console.say("installing the npm packages of the renderer (half a minute)")
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCE / name, self.folder)
        _run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], self.folder)
        done.touch()


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
