"""Options and fixtures of all tests: blocked imports, recorded data, and no silent skip in CI."""

import os
import re
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path

import hypothesis
import pytest

# No deadline: on a machine that others use too, a slow example is no fault.
hypothesis.settings.register_profile("shared_machine", deadline=None)
hypothesis.settings.load_profile("shared_machine")

_ALLOWED_SKIPS = Path(__file__).with_name("allowed_skips.txt")


class ImportBlocker(MetaPathFinder):
    """Makes modules unimportable, as on a machine where they are not installed."""

    def __init__(self, names):
        self.names = frozenset(names)

    def find_spec(self, fullname, path=None, target=None):
        if fullname.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"{fullname} is blocked by --block-imports", name=fullname)


class SkipLedger:
    """Collects the skips of a run and judges each by its reason."""

    def __init__(self, allowed, blocked):
        self.allowed = allowed
        self.blocked = blocked
        self.offending = []

    def is_allowed(self, reason):
        module = re.search(r"could not import '(\w+)", reason)
        if module and module.group(1) in self.blocked:
            return True
        return any(re.search(pattern, reason) for pattern in self.allowed)

    def note(self, report):
        if not report.skipped or hasattr(report, "wasxfail"):
            return
        longrepr = report.longrepr
        reason = longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
        reason = reason.removeprefix("Skipped: ")
        if not self.is_allowed(reason):
            self.offending.append(f"{report.nodeid}: {reason}")

    pytest_runtest_logreport = note
    pytest_collectreport = note

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session):
        if self.offending and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        if not self.offending:
            return
        terminalreporter.section("skips that CI does not allow", red=True, bold=True)
        for line in self.offending:
            terminalreporter.line(line)
        terminalreporter.line(f"Make them run, or name their reason in {_ALLOWED_SKIPS.name}.")


def pytest_addoption(parser):
    parser.addoption(
        "--block-imports",
        default="",
        metavar="NAMES",
        help="comma-separated top-level modules that cannot be imported during the run",
    )
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write what golden tests compare with, from what they get now",
    )


def pytest_configure(config):
    blocked = {name for name in config.getoption("--block-imports").split(",") if name}
    if early := sorted(blocked & set(sys.modules)):
        raise pytest.UsageError(f"--block-imports: already imported: {', '.join(early)}")
    if blocked:
        sys.meta_path.insert(0, ImportBlocker(blocked))
    if os.environ.get("CI") == "true":
        lines = _ALLOWED_SKIPS.read_text(encoding="utf-8").splitlines()
        allowed = [line for line in lines if line.strip() and not line.startswith("#")]
        config.pluginmanager.register(SkipLedger(allowed, blocked), "skip-ledger")


@pytest.fixture(scope="session")
def repository():
    """The root of the checkout."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data():
    """The folder of the recorded data; its tests carry the marker realdata."""
    folder = os.environ.get("DIFF_PLANNER_REAL_DATA")
    if not folder:
        pytest.skip("DIFF_PLANNER_REAL_DATA is not set: no recorded data on this machine")
    return Path(folder)
