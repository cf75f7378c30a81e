"""The package's source as the contract tests see it: files, modules and syntax trees."""

import ast
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "ros2_ws" / "src" / "diff_planner" / "diff_planner"


def source_files():
    """All Python files of the package, in a fixed order."""
    return sorted(PACKAGE.rglob("*.py"))


def module_name(path):
    """The dotted name of a file without the package: `safety.finite`; "" for the package itself."""
    parts = list(path.relative_to(PACKAGE).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)


def parse(path):
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imported_names(tree):
    """Yield (dotted name, line) of every absolute import, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module, node.lineno
            # `from package import module` names a module too.
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def names_at_import_time(node):
    """As imported_names, without what stands in functions or under TYPE_CHECKING."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield from imported_names(ast.Module(body=[child], type_ignores=[]))
        else:
            yield from names_at_import_time(child)
