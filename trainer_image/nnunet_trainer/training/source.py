"""What the source of a class says about its methods, without calling them. No torch in here."""

import ast
import functools
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Method:
    """A method as a class defines it."""

    owner: type
    name: str
    file: Path
    node: Function

    @property
    def place(self) -> str:
        """Where it stands: Class.method (file:line)."""
        return f"{self.owner.__name__}.{self.name} ({self.file}:{self.node.lineno})"

    def hands_over(self, name: str, order: Sequence[type]) -> type | None:
        """Return the class on whose method of that name it calls, by super() or by the name of the class; None if none.

        `order` are the classes in which Python looks methods up, one after the other.
        """
        by_name = {owner.__name__: owner for owner in order}
        for node in ast.walk(self.node):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name:
                called_on = node.func.value
                if isinstance(called_on, ast.Call) and _last(called_on.func) == "super":
                    return order[order.index(self.owner) + 1]
                if _last(called_on) in by_name:
                    return by_name[_last(called_on)]
        return None

    @property
    def calls(self) -> set[str]:
        """What it calls on the object, for example "save_checkpoint" or "logger.log" for self.logger.log()."""
        made = (node.func for node in ast.walk(self.node) if isinstance(node, ast.Call))
        return {path for function in made if (path := self._path(function))}

    @property
    def assigned(self) -> dict[str, ast.expr]:
        """The attributes of the object that it assigns, with the place of the first assignment."""
        found: dict[str, ast.expr] = {}
        for node in ast.walk(self.node):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and (path := self._path(node)):
                found.setdefault(path, node)
        return found

    @property
    def texts(self) -> set[str]:
        """The texts that stand in it."""
        return {node.value for node in ast.walk(self.node) if isinstance(node, ast.Constant) if type(node.value) is str}

    @property
    def returned(self) -> list[ast.expr]:
        """The values that it returns, without those of functions inside of it."""
        return [node.value for node in _own_nodes(self.node) if isinstance(node, ast.Return) and node.value is not None]

    def value_of(self, attribute: str) -> str:
        """Return the expression that it assigns to an attribute of the object."""
        for node in ast.walk(self.node):
            if isinstance(node, ast.Assign) and any(self._path(target) == attribute for target in node.targets):
                return ast.unparse(node.value)
        return "something"

    def _path(self, node: ast.expr) -> str:
        """Return the names behind the object, "a.b" for self.a.b; empty for anything else."""
        names: list[str] = []
        while isinstance(node, ast.Attribute):
            names.insert(0, node.attr)
            node = node.value
        arguments = [*self.node.args.posonlyargs, *self.node.args.args]
        first = arguments[0].arg if arguments else "self"
        return ".".join(names) if isinstance(node, ast.Name) and node.id == first else ""


def methods_of(owner: type) -> tuple[dict[str, Method], list[str]]:
    """Return the methods that a class itself defines, and the names of functions whose source can't be found."""
    found: dict[str, Method] = {}
    hidden: list[str] = []
    for name, value in vars(owner).items():
        function = inspect.unwrap(getattr(value, "__func__", value))
        if not inspect.isfunction(function):
            continue
        file = Path(function.__code__.co_filename)
        node = _functions(file).get(function.__code__.co_firstlineno)
        if node is None:
            hidden.append(name)
        else:
            found[name] = Method(owner, name, file, node)
    return found, hidden


@functools.cache
def _functions(file: Path) -> dict[int, Function]:
    """Return the functions in a file by their first lines, decorators included."""
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):
        return {}
    functions = [node for node in ast.walk(tree) if isinstance(node, Function)]
    return {min([node.lineno, *(mark.lineno for mark in node.decorator_list)]): node for node in functions}


def _own_nodes(function: Function) -> Iterator[ast.AST]:
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, Function | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


def _last(node: ast.expr) -> str:
    """Return the last of dotted names; empty for anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
