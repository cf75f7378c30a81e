"""Whatever has a public name says what it does."""

import ast

from contract.source_tree import REPOSITORY, parse, source_files


def public_definitions(body):
    """Yield public functions and classes, and the public methods of those classes."""
    for node in body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if node.name.startswith("_"):
            continue
        yield node
        if isinstance(node, ast.ClassDef):
            yield from public_definitions(node.body)


def is_overload(node):
    return any("overload" in ast.unparse(decorator) for decorator in node.decorator_list)


def test_every_module_class_and_public_function_has_a_docstring():
    bare = []
    for path in source_files():
        tree = parse(path)
        where = path.relative_to(REPOSITORY)
        if tree.body and not ast.get_docstring(tree):
            bare.append(f"{where}: module")
        bare += [
            f"{where}:{node.lineno}: {node.name}"
            for node in public_definitions(tree.body)
            if not ast.get_docstring(node) and not is_overload(node)
        ]
    assert not bare, "\n".join(bare)
