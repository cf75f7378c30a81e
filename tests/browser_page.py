"""A page in headless Chromium: what it drew, and whether the console stayed empty."""

import re
import shutil
import subprocess
from html import unescape

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--enable-logging=stderr",
    "--v=0",
    "--virtual-time-budget=5000",
    "--window-size=1400,900",
    "--dump-dom",
]


class Opened:
    """What a browser made of a page."""

    def __init__(self, dom, log):
        self.dom = dom
        self.console = [line for line in log.splitlines() if "CONSOLE" in line]
        body = re.search(r"<body[^>]*>", dom)
        assert body, f"no body in the browser's answer: {log[-2000:]}"
        self.state = {
            name: unescape(value) for name, value in re.findall(r'data-([\w-]+)="([^"]*)"', body[0])
        }

    @property
    def is_clean(self):
        return self.state.get("status") == "ready" and not self.console


def open_page(folder, html, fragment=""):
    """Write the page into a folder and open it; the test is skipped where there is no browser."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    path = folder / "page.html"
    path.write_text(html, encoding="utf-8")
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}"]
    done = subprocess.run(
        [*command, path.as_uri() + fragment],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return Opened(done.stdout, done.stderr)
