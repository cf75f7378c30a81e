"""Processes of a bench: each prints one line of JSON when its standard input is closed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

HERE = Path(__file__).resolve().parent
_END_S = 10.0


class ChildProcess:
    """A Python process as a context manager; ended by SIGINT where it did not end itself.

    What is killed (SIGKILL) would leave its shared memory behind.
    """

    def __init__(self, *words: str, environment: Mapping[str, str]) -> None:
        """Start it.

        Args:
            words: a script of this folder, or "-m" and a module; then its arguments.
            environment: all of it.
        """
        if words[0] != "-m":
            words = (str(HERE / words[0]), *words[1:])
        # A file, because nobody reads while it runs, and a full pipe would stop it.
        self._output = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - for __exit__
        self.process = subprocess.Popen(
            [sys.executable, *words],
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
        )

    def __enter__(self) -> ChildProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        for number in (signal.SIGINT, signal.SIGKILL):
            if self.process.poll() is None:
                self.process.send_signal(number)
                with suppress(subprocess.TimeoutExpired):
                    self.process.communicate(timeout=_END_S)
        self._output.close()

    def result(self, limit_s: float) -> dict[str, Any]:
        """Close its input, wait, and read its last line: libraries write theirs before it.

        Raises:
            RuntimeError: it failed; with what it printed.
            subprocess.TimeoutExpired: it has not ended in time.
        """
        self.process.communicate(timeout=limit_s)
        output = self.printed()
        if self.process.returncode != 0:
            raise RuntimeError(
                f"{self.process.args!r} ended with {self.process.returncode}:\n{output[-4000:]}"
            )
        found: dict[str, Any] = json.loads(output.splitlines()[-1])
        return found

    def printed(self) -> str:
        """Return what it has printed until now, errors included."""
        self._output.seek(0)
        return self._output.read()


def clean_environment(without: tuple[str, ...], variables: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment without some variables and with others."""
    return {k: v for k, v in os.environ.items() if k not in without} | dict(variables)
