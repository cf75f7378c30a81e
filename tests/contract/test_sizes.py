"""Files and functions stay small enough to be read in one go."""

import ast
import warnings

from contract.source_tree import REPOSITORY, module_name, parse, source_files

FILE_LINES = 400
FILE_LINES_WARN = 300
FUNCTION_LINES = 50
# Mathematics of a network or a training loop tears badly.
FUNCTION_LINES_LONG = 80
LONG_UNITS = ("model", "training")
VAGUE_NAMES = {"utils.py", "util.py", "helpers.py", "helper.py", "common.py", "misc.py"}


def python_files():
    """The package's files and every other Python file of ours."""
    others = [
        path
        for folder in ("tests", "tools", "bags", "bench", "launch", "models")
        for path in (REPOSITORY / folder).rglob("*.py")
    ]
    return [*source_files(), *sorted(others)]


def line_count(path):
    return len(path.read_text(encoding="utf-8").splitlines())


def test_no_file_is_longer_than_the_cap():
    lengths = {path.relative_to(REPOSITORY): line_count(path) for path in python_files()}
    long = {str(path): lines for path, lines in lengths.items() if lines > FILE_LINES}
    assert not long, f"over {FILE_LINES} lines: {long}"


def test_files_over_the_warning_length_are_few():
    near = [str(path) for path in source_files() if line_count(path) > FILE_LINES_WARN]
    if near:
        message = f"over {FILE_LINES_WARN} lines, think of splitting: {near}"
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.warn(message, stacklevel=1)
    assert len(near) <= len(source_files()) // 4, near


def test_no_function_is_longer_than_the_cap():
    long = []
    for path in source_files():
        unit = module_name(path).partition(".")[0]
        cap = FUNCTION_LINES_LONG if unit in LONG_UNITS else FUNCTION_LINES
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = node.end_lineno - node.lineno + 1
                if lines > cap:
                    where = f"{path.relative_to(REPOSITORY)}:{node.lineno}"
                    long.append(f"{where} {node.name}: {lines} lines, at most {cap}")
    assert not long, "\n".join(long)


def test_every_module_is_named_for_what_it_holds():
    vague = [str(path) for path in python_files() if path.name in VAGUE_NAMES]
    assert not vague, vague
