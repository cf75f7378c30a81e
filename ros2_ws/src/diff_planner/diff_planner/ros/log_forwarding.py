"""The core's log lines on the node's logger, so that /rosout and the console have them."""

from __future__ import annotations

import logging
from typing import Any


class _ToRos(logging.Handler):
    """Hands records to an rclpy logger."""

    def __init__(self, ros_logger: Any) -> None:  # noqa: ANN401 - rclpy's
        super().__init__()
        self._ros = ros_logger

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
            # rclpy asks that one line of code logs at one severity only.
            if record.levelno >= logging.ERROR:
                self._ros.error(text)
            elif record.levelno >= logging.WARNING:
                self._ros.warning(text)
            elif record.levelno >= logging.INFO:
                self._ros.info(text)
            else:
                self._ros.debug(text)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        logging.getLogger("diff_planner").removeHandler(self)
        super().close()


def forward_logs(ros_logger: Any) -> logging.Handler:  # noqa: ANN401 - rclpy's
    """Forward what the package logs; `close` of the result ends it."""
    handler = _ToRos(ros_logger)
    logger = logging.getLogger("diff_planner")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    return handler
