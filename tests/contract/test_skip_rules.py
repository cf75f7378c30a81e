"""The rules of conftest.py, tried in small runs of their own."""

import os
import shutil
import subprocess
import sys

import pytest

from contract.source_tree import REPOSITORY

TESTS = """
import pytest

def test_that_passes():
    pass

def test_that_needs_a_module():
    pytest.importorskip("{module}")

def test_that_is_skipped():
    pytest.skip("{reason}")
"""


@pytest.fixture
def run(tmp_path):
    """Run the tests above in a folder with our conftest; returns exit status and output."""
    for name in ("conftest.py", "allowed_skips.txt"):
        shutil.copy(REPOSITORY / "tests" / name, tmp_path)

    def run_pytest(*options, ci="true", module="json", reason="no GPU here"):
        text = TESTS.format(module=module, reason=reason)
        (tmp_path / "test_small.py").write_text(text, encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            *options,
            str(tmp_path),
        ]
        environment = {**os.environ, "CI": ci}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    return run_pytest


def test_a_skip_with_an_allowed_reason_passes_in_ci(run):
    status, output = run()
    assert status == 0, output


def test_a_skip_with_another_reason_fails_in_ci_and_is_named(run):
    status, output = run(reason="not in the mood")
    assert status == 1
    assert "test_that_is_skipped: not in the mood" in output


def test_outside_of_ci_any_skip_passes(run):
    status, output = run(ci="", reason="not in the mood")
    assert status == 0, output


def test_a_module_that_is_missing_fails_in_ci_unless_it_is_blocked(run):
    status, output = run(module="no_such_module")
    assert status == 1, output
    status, output = run("--block-imports", "no_such_module", module="no_such_module")
    assert status == 0, output


def test_a_blocked_module_cannot_be_imported_though_it_is_installed(run):
    status, output = run("--block-imports", "antigravity,this", "-rs", module="this")
    assert status == 0, output
    assert "could not import 'this'" in output


def test_blocking_what_is_already_imported_is_refused(run):
    status, output = run("--block-imports", "os")
    assert status != 0
    assert "already imported: os" in output
