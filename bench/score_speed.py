"""How long it takes to score candidates: PDMS and EPDMS on one core, LQR simulation included.

Takes the densest golden scene (50 agents, 153 polygons) and its candidates, multiplied and
disturbed.  Prints least and median time for 80 candidates, the scene's preparation counted and not,
then how time grows with candidates and with agents.  On a shared machine the least time is what
the code needs; the median says how busy the machine was.

    python bench/score_speed.py [--runs 30] [--json FILE] [--plot out/score_speed.png]
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy is imported: one core, as in training

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from diff_planner.files import whole_file
from diff_planner.metrics.epdms import score_epdms
from diff_planner.metrics.pdms import score_pdms
from diff_planner.metrics.prepared import PreparedScene
from diff_planner.report.provenance import commit, machine
from diff_planner.scene.golden import GoldenCase
from diff_planner.scene.load import load_golden
from diff_planner.scene.schema import Scene

GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "pdm" / "rich" / "scenes.json"
SCENE = "A_dense_city"
CANDIDATES = (1, 10, 20, 40, 80, 160, 320)
AGENTS = (1, 25, 50, 100, 150, 200)
Colour = tuple[int, int, int]
COLOURS: dict[str, Colour] = {"pdms": (160, 90, 20), "epdms": (30, 90, 200)}
"""Blue, green, red."""
SCORES: dict[str, Callable[[Any, Any], object]] = {"pdms": score_pdms, "epdms": score_epdms}


def dense_case() -> GoldenCase:
    """Return the golden scene with the most agents."""
    cases = load_golden(GOLDEN) or ()
    return next(case for case in cases if case.scene.token == SCENE)


def disturbed(candidates: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return `count` candidates [count, 8, 3]: the given ones, again and again, each a bit off."""
    repeats = -(-count // len(candidates))
    many = np.tile(candidates, (repeats, 1, 1))[:count]
    grow = np.arange(1, 9)[None, :, None] / 8.0
    noise = np.random.default_rng(0).normal(0.0, [1.0, 0.3, 0.02], many.shape)
    return many + noise * grow


def with_agents(scene: Scene, count: int) -> Scene:
    """Return the scene with `count` agents: its own, then again with new names a bit aside."""
    rng = np.random.default_rng(1)
    agents = list(scene.agents[:count])
    while len(agents) < count:
        agent = scene.agents[len(agents) % len(scene.agents)]
        states = agent.states.copy()
        states[:, :2] += rng.normal(0.0, 5.0, 2)
        agents.append(replace(agent, id=f"{agent.id}/{len(agents)}", states=states))
    return replace(scene, agents=tuple(agents))


def milliseconds(runs: int, call: Callable[..., object], *arguments: object) -> tuple[float, float]:
    """Return the least and the median time of a call."""
    call(*arguments)
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call(*arguments)
        times.append(time.perf_counter() - start)
    return 1e3 * min(times), 1e3 * float(np.median(times))


def slope(x: list[int], y: list[float]) -> tuple[float, float, float]:
    """Return offset and slope of the line through the points, and r squared."""
    gradient, offset = np.polyfit(x, y, 1)
    rest = np.asarray(y) - (offset + gradient * np.asarray(x))
    return float(offset), float(gradient), float(1.0 - rest.var() / np.var(y))


def measure(runs: int) -> dict[str, Any]:
    """Return all figures, milliseconds."""
    case = dense_case()
    scene, ready = case.scene, PreparedScene.of(case.scene)
    many = disturbed(case.candidates, 80)
    fewer_and_more = [disturbed(case.candidates, count) for count in CANDIDATES]
    crowds = [PreparedScene.of(with_agents(scene, count)) for count in AGENTS]
    found: dict[str, Any] = {"prepare": milliseconds(runs, PreparedScene.of, scene)}
    for name, score in SCORES.items():
        found[name] = milliseconds(runs, score, ready, many)
        found[f"{name}_with_preparation"] = milliseconds(runs, score, scene, many)
        found[f"{name}_by_candidates"] = [
            milliseconds(runs, score, ready, some)[0] for some in fewer_and_more
        ]
        found[f"{name}_by_agents"] = [milliseconds(runs, score, crowd, many)[0] for crowd in crowds]
    return found


def plot(found: dict[str, Any], path: Path) -> None:
    """Draw time over candidates and over agents."""
    canvas = np.full((420, 1000, 3), 255, dtype=np.uint8)
    for left, key, counts in ((70, "candidates", CANDIDATES), (570, "agents", AGENTS)):
        lines = {name: found[f"{name}_by_{key}"] for name in SCORES}
        top = max(20.0, 10.0 * float(np.ceil(0.11 * max(map(max, lines.values())))))
        fixed = "80 candidates" if key == "agents" else "50 agents, 153 polygons"
        write(canvas, f"ms over {key} ({fixed}, least of the runs)", (left, 30))
        scale = np.array([380.0 / counts[-1], -310.0 / top])
        for level in np.linspace(0.0, top, 5):
            row = round(360 + scale[1] * level)
            cv2.line(canvas, (left, row), (left + 380, row), (225, 225, 225), 1)
            write(canvas, f"{level:g}", (left - 36, row + 4))
        for count in counts[2:]:
            write(canvas, str(count), (round(left + scale[0] * count) - 10, 380))
        for row, (name, times) in enumerate(lines.items()):
            places = np.array([left, 360]) + scale * np.stack([counts, times], axis=-1)
            points = np.round(places).astype(np.int32)
            cv2.polylines(canvas, [points], False, COLOURS[name], 2, cv2.LINE_AA)
            for point in points.tolist():
                cv2.circle(canvas, point, 4, COLOURS[name], -1, cv2.LINE_AA)
            write(canvas, name, (left + 12, 60 + 18 * row), COLOURS[name])
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), canvas)


def write(
    canvas: NDArray[np.uint8], text: str, place: tuple[int, int], colour: Colour = (40, 40, 40)
) -> None:
    """Put a small text onto the picture."""
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, 1, cv2.LINE_AA)


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path, default=Path("out/score_speed.png"))
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    load = os.getloadavg()[0]
    found = measure(arguments.runs)
    print(f"{SCENE}, one core; {machine()}; load {load:.1f}; {commit()}; numpy {np.__version__}")
    print(f"  {'80 candidates':<28} {'min ms':>8} {'p50 ms':>8}")
    for name in ("prepare", "pdms", "pdms_with_preparation", "epdms", "epdms_with_preparation"):
        print(f"  {name:<28} {found[name][0]:8.2f} {found[name][1]:8.2f}")
    for name in SCORES:
        for key, counts in (("candidates", CANDIDATES), ("agents", AGENTS)):
            offset, gradient, fit = slope(list(counts), found[f"{name}_by_{key}"])
            row = "  ".join(
                f"{n}: {ms:.1f}" for n, ms in zip(counts, found[f"{name}_by_{key}"], strict=True)
            )
            print(f"  {name} by {key}: {row}")
            print(f"    {offset:.1f} ms + {1e3 * gradient:.0f} us each, r2 {fit:.3f}")
    plot(found, arguments.plot)
    print(f"  {arguments.plot}")
    if arguments.json is not None:
        with whole_file(arguments.json) as partial:
            partial.write_text(json.dumps({"machine": machine(), "load": load, **found}))


if __name__ == "__main__":
    main()
