"""Imports put off until something of the module is used: what draws pictures, makes splits, reads images or the web.

nnU-Net's trainer imports seaborn, pyplot and scikit-learn when it is imported itself: more than a second of a core
before the first iteration, for what most commands never do. The modules are the real ones: the first use of anything in
them loads them, and what it gives is the same.

The standard library's LazyLoader does not do: it loads whenever anybody asks a module for its file, as nnU-Net does of
all that are loaded, and a name that is imported by `from` would load its module at once.
"""

import sys
import threading
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

MODULES: dict[str, tuple[str, ...]] = {
    "SimpleITK": (),
    "httpx": (),
    "matplotlib.pyplot": (),
    # Loads scikit-learn.
    "nnunetv2.utilities.crossval_split": ("generate_crossval_split",),
    "seaborn": (),
}
"""What is put off, with its functions that are imported by `from`: these load it when they are called."""
_OF_ITS_AUTHORS = ("__all__", "__version__")
"""Python asks modules for other names of this kind whether they are used or not."""


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in MODULES:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Late(spec.loader, MODULES[fullname])
        return spec


class _Late(Loader):
    """Makes a module without content, which loads itself when some is wanted."""

    def __init__(self, loader: Loader, functions: Sequence[str]) -> None:
        self._loader, self._functions = loader, functions
        # Another thread waits for the whole module; this one may come back while it is half there, as in any import.
        self._lock = threading.RLock()
        self._begun = False

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        content = vars(module)

        def missing(name: str) -> Any:
            put_off = not name.startswith("__") or name in _OF_ITS_AUTHORS
            if put_off and self._load(module, missing):
                return getattr(module, name)
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

        def function(name: str) -> Any:
            def loads(*arguments: Any, **named: Any) -> Any:
                self._load(module, missing)
                loaded = content.get(name)
                if loaded is None or loaded is loads:
                    raise AttributeError(
                        f"module {module.__name__!r} has no function {name!r}; another version of it may be installed "
                        "than the trainer was made for"
                    )
                return loaded(*arguments, **named)

            return loads

        content.update({name: function(name) for name in self._functions}, __getattr__=missing)

    def _load(self, module: ModuleType, missing: Any) -> bool:
        """Load the module unless that is done; tell whether there may be more in it now."""
        content = vars(module)
        with self._lock:
            if content.get("__getattr__") is not missing:
                return True
            if self._begun:
                return False
            self._begun = True
            try:
                self._loader.exec_module(module)
            finally:
                self._begun = False
            if module.__spec__ is not None:
                module.__spec__.loader = module.__loader__ = self._loader
            if content.get("__getattr__") is missing:
                del content["__getattr__"]
            return True


def put_off() -> None:
    """From now on put these imports off in this process."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
