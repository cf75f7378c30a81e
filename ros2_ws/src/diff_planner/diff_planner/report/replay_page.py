"""The page of one replay: what was seen, what was planned, what was driven, and how long it took.

Cycles pass through once.  Pictures are kept of a limited number of them, spread evenly, with the
first and the last; of the others a few numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diff_planner.config import PlannerConfig
from diff_planner.data.replay_types import ReplayCycle, ReplaySummary
from diff_planner.errors import ResultsError
from diff_planner.report.driven_path import DrivenPath
from diff_planner.report.frame import Frame, build_frame, camera_order
from diff_planner.report.frame_data import frame_data
from diff_planner.report.page import render_page, write_page
from diff_planner.report.summary_table import (
    UNTRAINED,
    reject_rows,
    stage_rows,
    summary_rows,
)
from diff_planner.report.timeline import Timeline
from diff_planner.report.wording import REJECT_WORDS, SOURCE_WORDS
from diff_planner.types import FloatArray

_SCRIPTS = ["plots.js", "bev.js", "cameras.js", "replay.js"]


_MAX_TURNS = 20
"""Pictures kept beside the evenly spread ones: a short fallback in a long bag is worth a look."""


class ReplayPage:
    """Takes the cycles of a replay and writes its page."""

    def __init__(
        self, config: PlannerConfig, *, title: str, expected_cycles: int, max_frames: int = 60
    ) -> None:
        """Prepare.

        Args:
            config: that of the planner.
            title: of the page.
            expected_cycles: a guess; pictures are spread evenly even when it is wrong.
            max_frames: cycles shown with pictures, at least 2.

        Raises:
            ResultsError: `max_frames` is below 2.
        """
        if max_frames < 2:
            raise ResultsError(f"max_frames: expected at least 2, got {max_frames}")
        self._config = config
        self._title = title
        self._max_frames = max_frames
        self._stride = max(1, -(-expected_cycles // (max_frames - 1)))
        self._frames: list[Frame] = []
        self._turns: list[Frame] = []
        """Cycles whose plan came from another source than the one before."""
        self._count = 0
        self._last: ReplayCycle | None = None
        self._timeline = Timeline()

    def add(self, cycle: ReplayCycle) -> None:
        """Take one cycle; its pictures are kept when it is one of those to show."""
        self._timeline.add(cycle)
        if self._count % self._stride == 0:
            self._frames.append(build_frame(cycle, self._config))
            if len(self._frames) >= self._max_frames:  # one place is for the last cycle
                self._frames = self._frames[::2]
                self._stride *= 2
        elif self._is_turn(cycle) and len(self._turns) < _MAX_TURNS:
            self._turns.append(build_frame(cycle, self._config))
        self._count += 1
        self._last = cycle

    def _is_turn(self, cycle: ReplayCycle) -> bool:
        return self._last is not None and self._last.output.source != cycle.output.source

    def write(
        self, path: Path, *, ego_path: list[tuple[int, FloatArray]], summary: ReplaySummary
    ) -> None:
        """Write the page; it appears only when complete.

        Args:
            path: the HTML file.
            ego_path: (stamp_ns, odom_SE3_ego) of the drive, in the frame of the plans' odometry.
            summary: figures of the whole replay.

        Raises:
            ResultsError: no cycle was added: a page without content would look like a result.
            OutputError: the folder or the disk refuses.
        """
        write_page(path, self.render(ego_path=ego_path, summary=summary))

    def render(self, *, ego_path: list[tuple[int, FloatArray]], summary: ReplaySummary) -> str:
        """Return the page as text; see `write`."""
        if self._last is None:
            raise ResultsError(f"{self._title}: no cycle was replayed, so there is no page to make")
        frames = sorted([*self._frames, *self._turns], key=lambda frame: frame.index)
        if frames[-1].index != self._last.index:
            frames.append(build_frame(self._last, self._config))
        return render_page(
            "replay.html",
            title=self._title,
            scripts=_SCRIPTS,
            data=self._data(frames, ego_path),
            context=self._context(len(frames), summary),
        )

    def _data(self, frames: list[Frame], ego_path: list[tuple[int, FloatArray]]) -> dict[str, Any]:
        path = DrivenPath(ego_path)
        vehicle = self._config.vehicle
        timeline = self._timeline.data(ego_path)
        start_ns = self._timeline.start_ns
        seen = {name: picture for frame in frames for name, picture in frame.pictures.items()}
        unseen = [name for name in self._config.inputs.cameras if name not in seen]
        return {
            "frames": [frame_data(frame, path, self._config, start_ns) for frame in frames],
            "timeline": timeline,
            "cameras": [*camera_order(seen), *unseen],
            "vehicle": {
                "front_m": vehicle.front_m,
                "rear_m": vehicle.rear_m,
                "width_m": vehicle.width_m,
            },
            "max_tries": self._config.selection.max_tries,
            "reject_words": {str(bit.name): words for bit, words in REJECT_WORDS.items()},
            "source_words": {source.name: words for source, words in SOURCE_WORDS.items()},
        }

    def _context(self, frame_count: int, summary: ReplaySummary) -> dict[str, Any]:
        rejects = [
            {
                "name": bit.name,
                "words": REJECT_WORDS[bit],
                "all": every,
                "all_share": every / max(summary.candidates, 1),
                "without": without,
                "without_share": without / max(summary.candidates_without_diffusion, 1),
            }
            for bit, every, without in reject_rows(summary)
        ]
        return {
            "summary": summary,
            "rows": summary_rows(summary),
            "stages": stage_rows(summary),
            "rejects": rejects,
            "inputs": self._timeline.inputs(),
            "reasons": sorted(summary.reasons.items(), key=lambda item: (-item[1], item[0])),
            "untrained": UNTRAINED,
            "frame_count": frame_count,
            "cycle_count": self._count,
            "period_ms": 1000.0 * self._config.inputs.period_s,
        }
