"""One HTML file that needs nothing else: no server, no network, no second file.

A Content-Security-Policy in the page forbids every request, so "self-contained" is not a promise
but a rule that the browser enforces.  `document.body.dataset.status` becomes "ready" when all is
drawn and "failed" with a visible sentence when the script stops.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from diff_planner import __version__
from diff_planner.errors import ResultsError
from diff_planner.files import whole_file


def render_page(
    template: str, *, title: str, scripts: list[str], data: object, context: Mapping[str, Any]
) -> str:
    """Return a whole page.

    Args:
        template: file in templates/ that extends page.html.
        title: of the page.
        scripts: files in templates/, put in after page.js in this order.
        data: what the scripts read as `DATA`: anything JSON can hold, finite numbers only.
        context: further values for the template; texts are escaped.

    Raises:
        ResultsError: a value of `data` is NaN, infinite or no JSON.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("diff_planner.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(
        title=title, scripts=scripts, data_json=_script_json(data), version=__version__, **context
    )


def write_page(path: Path, html: str) -> None:
    """Write a page; it appears only when complete.

    Raises:
        OutputError: the folder or the disk refuses.
    """
    with whole_file(path) as partial:
        partial.write_text(html, encoding="utf-8")


def _script_json(data: object) -> str:
    """Return JSON that cannot end the script element it stands in."""
    try:
        text = json.dumps(data, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    except (ValueError, TypeError) as error:
        raise ResultsError(f"page data: expected plain finite values, got {error}") from None
    # "<" covers "</script" and "<!--"; the two separators end a line in older JavaScript.
    for character in "<\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
