"""Writes the table of the node's parameters into the README of the package.

    python -m diff_planner.ros.parameter_table

A test holds that the README's is the present one.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from diff_planner.errors import ConfigError
from diff_planner.ros.parameter_kinds import ParameterSpec, Value
from diff_planner.ros.parameter_specs import parameter_specs

COMMAND = "python -m diff_planner.ros.parameter_table"
README = Path(__file__).resolve().parents[2] / "README.md"
_BEGIN = f"<!-- parameters: written by `{COMMAND}` -->"
_END = "<!-- end of parameters -->"
_HEAD = "| Parameter | Type | Default | Values | Meaning |\n| --- | --- | --- | --- | --- |"


def parameter_table() -> str:
    """Return the tables of all parameters as Markdown, one for each group of the configuration."""
    parts = []
    by_group = sorted(parameter_specs(), key=lambda spec: "." in spec.name)  # stable
    for group, specs in groupby(by_group, _group_of):
        rows = [_row(spec) for spec in specs]
        parts.append("\n".join([f"#### {group}", "", _HEAD, *rows]))
    return "\n\n".join(parts)


def with_table(text: str) -> str:
    """Return the text of the README with the present table between its two markers.

    Raises:
        ConfigError: the markers are not there, each once and in order.
    """
    return between(text, _BEGIN, _END, parameter_table())


def between(text: str, begin_line: str, end_line: str, table: str) -> str:
    """Return a text with a table between two lines of it.

    Raises:
        ConfigError: the lines are not there, each once and in order.
    """
    before, begin, rest = text.partition(begin_line)
    _, end, after = rest.partition(end_line)
    if not begin or not end or begin_line in after or end_line in after:
        raise ConfigError(
            f"expected the lines '{begin_line}' and '{end_line}' once each, in this order"
        )
    return f"{before}{begin_line}\n\n{table}\n\n{end_line}{after}"


def _group_of(spec: ParameterSpec) -> str:
    head, dot, _ = spec.name.partition(".")
    return f"`{head}`" if dot else "The node"


def _row(spec: ParameterSpec) -> str:
    name = f"`{spec.name}`" + ("" if spec.is_read_only else " \\*")
    cells = [name, spec.kind, _default(spec.default), spec.limits, spec.description]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(value: Value) -> str:
    if isinstance(value, bool):
        return f"`{value}`".lower()
    if isinstance(value, tuple):
        return f"`[{', '.join(value)}]`"
    return '`""`' if value == "" else f"`{value}`"


def main() -> None:
    """Write the README of the source tree."""
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
