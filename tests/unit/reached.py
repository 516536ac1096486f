"""What a module reaches by which name: read from its source, whatever names it gives to what it imports."""

import ast
from collections import defaultdict
from collections.abc import Iterator

_IMPORTERS = {"importlib.import_module", "__import__", "importlib.__import__"}
_ROUNDS = 3
"""Names that are given to what has another name already: of a third name nobody is known to make a fourth."""


class Reached:
    """The dotted paths behind the names of a module, wherever in it they are given."""

    def __init__(self, tree: ast.AST) -> None:
        self._nodes = list(ast.walk(tree))
        self._known: defaultdict[str, set[str]] = defaultdict(set)
        for node in self._nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    # "import a.b" gives the name a, "import a.b as c" the name c to a.b.
                    first = alias.name.partition(".")[0]
                    self._known[alias.asname or first].add(alias.name if alias.asname else first)
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    self._known[alias.asname or alias.name].add(f"{node.module or ''}.{alias.name}")
        given = list(self._given())
        for _ in range(_ROUNDS):
            for name, value in given:
                self._known[name] |= self._paths(value)

    def paths(self) -> Iterator[str]:
        """Return each path that is named, with dots: `torch.load` for what an alias stands for as well."""
        for node in self._nodes:
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from (f"{node.module or ''}.{alias.name}" for alias in node.names)
            elif isinstance(node, ast.Attribute | ast.Name | ast.Call | ast.Subscript) and not _is_given(node):
                yield from self._paths(node)

    def _given(self) -> Iterator[tuple[str, ast.expr]]:
        """Return names with the values that they are given."""
        for node in self._nodes:
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        yield target.id, node.value
                    elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                        pairs = zip(target.elts, node.value.elts, strict=False)
                        yield from ((one.id, value) for one, value in pairs if isinstance(one, ast.Name))
            elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and isinstance(node.target, ast.Name) and node.value:
                yield node.target.id, node.value
            elif isinstance(node, ast.withitem) and isinstance(node.optional_vars, ast.Name):
                yield node.optional_vars.id, node.context_expr

    def _paths(self, node: ast.expr) -> set[str]:
        """Return what an expression may stand for; nothing where it is no name of something that is imported."""
        match node:
            case ast.Name():
                return self._known.get(node.id, {node.id})
            case ast.Attribute():
                return {f"{path}.{node.attr}" for path in self._paths(node.value)}
            case ast.Call(func=ast.Name(id="getattr"), args=[of, name, *_]):
                last = name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else "*"
                return {f"{path}.{last}" for path in self._paths(of)}
            case ast.Call(args=[ast.Constant(value=str(module)), *_]) if self._paths(node.func) & _IMPORTERS:
                return {module}
            case ast.Subscript(slice=ast.Constant(value=str(key))):
                # sys.modules["a"], vars(a)["b"] and a.__dict__["b"]
                paths = self._paths(node.value)
                return {key if path == "sys.modules" else f"{path.removesuffix('.__dict__')}.{key}" for path in paths}
            case ast.Call(func=ast.Name(id="vars"), args=[module]):
                return self._paths(module)
        return set()


def _is_given(node: ast.expr) -> bool:
    """Whether a value is put in its place: that reads nothing."""
    return isinstance(getattr(node, "ctx", None), ast.Store)
