"""The planner node as a child process: started on a configuration, watched, and ended by SIGINT."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from diff_planner.config import PlannerConfig
from diff_planner.errors import BackendError
from diff_planner.ros.parameter_file import write_parameter_file
from diff_planner.ros.parameter_specs import NodeConfig

_MODULE = "diff_planner.ros.planner_node"
_END_S = 10.0
_TAIL_LINES = 15


class NodeProcess:
    """One planner node in a process of its own, as a context manager.

    What it prints goes to a file; the end of it is part of the error when the process dies.
    """

    def __init__(
        self,
        config: PlannerConfig,
        node: NodeConfig | None = None,
        *,
        namespace: str = "",
        log: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare.

        Args:
            config: of the planner.
            node: what only the node needs to know.
            namespace: to run in; "" for none.
            log: file for what it prints; None for one that is removed at the end.
            environment: variables beside those of this process.
        """
        self._config, self._node, self._namespace = config, node, namespace
        self._log, self._environment = log, dict(environment or {})
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.returncode: int | None = None
        """Exit status, once it has ended; 0 after a clean end."""

    @property
    def pid(self) -> int:
        """Process id.

        Raises:
            BackendError: it is not running.
        """
        if self._process is None:
            raise BackendError("the node's process was not started")
        return self._process.pid

    def __enter__(self) -> NodeProcess:
        """Start it; it configures and activates itself."""
        self._folder = tempfile.TemporaryDirectory(prefix="diff_planner_node_")
        folder = Path(self._folder.name)
        parameters = folder / "parameters.yaml"
        write_parameter_file(parameters, self._config, self._node)
        self._log = self._log or folder / "node.log"
        words = [sys.executable, "-m", _MODULE, "--ros-args", "--params-file", str(parameters)]
        if self._namespace.strip("/"):
            words += ["-r", f"__ns:=/{self._namespace.strip('/')}"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._environment},
                # A Ctrl-C in the terminal is ours: we end the node when all else is written.
                start_new_session=True,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it: SIGINT, and what is harder only where that does not help.

        Raises:
            BackendError: nothing else failed, and it did not end cleanly.
        """
        process = self._process
        if process is None or self._folder is None:
            return
        try:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
                if process.poll() is not None:
                    break
                process.send_signal(number)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_END_S)
            self.returncode = process.wait()
            if kind is None and self.returncode != 0:
                raise BackendError(self._ended())
        finally:
            self._folder.cleanup()

    def watch(self) -> None:
        """Check that it still runs.

        Raises:
            BackendError: it has ended; with the last lines that it printed.
        """
        if self._process is not None and self._process.poll() is not None:
            self.returncode = self._process.returncode
            raise BackendError(self._ended())

    def _ended(self) -> str:
        lines: list[str] = []
        if self._log is not None:
            with suppress(OSError):
                lines = self._log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        said = "; it printed nothing" if not lines else ":\n  " + "\n  ".join(lines)
        return f"the node's process ended with status {self.returncode}{said}"
