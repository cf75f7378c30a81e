"""The arguments of each command of `diff-planner`: what they are called, and what they may be."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from diff_planner import __version__
from diff_planner.errors import ConfigError

Run = Callable[[argparse.Namespace], int]
"""What a command does with its arguments; returns the exit code."""
_ROS_FIELDS = {
    "with_node": "has_own_node",
    "rate": "rate",
    "lock_step": "is_lock_step",
    "loops": "loops",
    "continuous": "is_continuous",
    "namespace": "namespace",
    "shadow": "is_shadow",
    "all_topics": "has_all_topics",
    "node_timeout": "node_timeout_s",
}
"""Options of a replay through ROS 2, and what `GraphRequest` calls them."""
_Commands = argparse._SubParsersAction  # argparse has no public name for it
_FORMATTER = argparse.RawDescriptionHelpFormatter


def build_parser(runs: Mapping[str, Run]) -> argparse.ArgumentParser:
    """Return the parser of all commands.

    Args:
        runs: what each command does, by name; the parsed arguments carry it as `run`.
    """
    parser = argparse.ArgumentParser(
        prog="diff-planner",
        description="A truncated-diffusion planner for vehicles that run ROS 2.",
        epilog="example:\n  diff-planner demo --out out/demo",
        formatter_class=_FORMATTER,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, add in _COMMANDS.items():
        _add_common(add(commands), runs[name])
    return parser


def _add_common(parser: argparse.ArgumentParser, run: Run) -> None:
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result as JSON")
    parser.add_argument(
        "--seed", type=_seed, help="seed of all noise (default: the configuration's, else 0)"
    )
    parser.set_defaults(run=run)


def _bag(text: str) -> Path:
    """Return a path with a name, which "." has not: results and pages are named after the bag."""
    path = Path(text)
    return path if path.name not in ("", "..") else path.resolve()


def _seed(text: str) -> int:
    value = _whole_number(text)
    if not 0 <= value < 2**63:
        raise argparse.ArgumentTypeError(f"expected 0 to 2^63 - 1, got {text}")
    return value


def _whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}") from None


def _seconds(text: str) -> float:
    value = _number(text)
    if not 0.0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected seconds, 0 or more, got {text!r}")
    return value


def _positive(text: str) -> float:
    value = _number(text)
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return value


def _number(text: str) -> float:
    """Return NaN for what is no number."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _at_least_one(text: str) -> int:
    value = _whole_number(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {value}")
    return value


def _count(text: str) -> int:
    value = _whole_number(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected 0 or more, got {value}")
    return value


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", help="a folder of models/ or a path (default nano)")
    parser.add_argument("--backend", choices=["openvino", "torch"], help="default openvino")
    parser.add_argument("--threads", type=int, help="inference threads (default 1)")


def _add_demo(commands: _Commands[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "demo",
        help="make a sample bag, plan on it, show the result",
        description="Makes a synthetic 5 s bag, replays it through the planner and writes a page.",
        epilog="example:\n  diff-planner demo --out out/demo",
        formatter_class=_FORMATTER,
    )
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder to write to")
    parser.add_argument(
        "--ros",
        action="store_true",
        help="through a ROS 2 node in real time, in a domain of its own on this machine",
    )
    _add_model_options(parser)
    return parser


def _add_doctor(commands: _Commands[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "doctor",
        help="say whether a bag can drive the planner",
        description="Examines topics, rates, sync, clocks, calibration and frames of a bag and "
        "prints the configuration to use.  Exit 0 when the bag can drive the planner, else 1.",
        epilog="example:\n  diff-planner doctor bags/drive.mcap --config-out drive.yaml",
        formatter_class=_FORMATTER,
    )
    parser.add_argument("bag", type=_bag, help="bag folder, .mcap or .db3")
    parser.add_argument("--config", type=Path, help="judge against this configuration")
    parser.add_argument("--config-out", type=Path, help="write the configuration to use")
    return parser


def _add_replay(commands: _Commands[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "replay",
        help="plan on a recorded bag, lock-step and deterministic",
        description="Feeds a bag through the planner and writes plans, candidates and status into "
        "a new bag.  Without --config the topics are found as `doctor` finds them.  With --ros the "
        "bag is played to a ROS 2 node instead, and the node's plans are recorded.",
        epilog="example:\n  diff-planner replay drive.mcap --out plans.mcap --report report.html\n"
        "  diff-planner replay drive.mcap --out plans.mcap --ros --with-node --rate 1",
        formatter_class=_FORMATTER,
    )
    parser.add_argument("bag", type=_bag, help="bag folder, .mcap or .db3")
    parser.add_argument(
        "--out", type=Path, required=True, help="bag to write: OUT.mcap, or a folder"
    )
    parser.add_argument("--report", type=Path, help="page to write, REPORT.html")
    parser.add_argument("--config", type=Path, help="planner configuration (YAML)")
    parser.add_argument("--start", type=_seconds, default=0.0, help="seconds to skip")
    parser.add_argument("--duration", type=_seconds, help="seconds to replay (default: all)")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing OUT")
    _add_model_options(parser)
    _add_ros_options(parser)
    return parser


def _add_ros_options(parser: argparse.ArgumentParser) -> None:
    """Add what only a replay through the graph takes; None or False where it was not given."""
    group = parser.add_argument_group(
        "through ROS 2", "with --ros; the node must be running, or is started by --with-node"
    )
    group.add_argument("--ros", action="store_true", help="play to a node and record its plans")
    group.add_argument("--with-node", action="store_true", help="start a node, and end it")
    group.add_argument("--rate", type=_positive, help="bag seconds per second (default 1)")
    group.add_argument(
        "--lock-step",
        action="store_true",
        help="message by message, waiting for the node (its parameter lock_step): the same plans "
        "as without --ros",
    )
    group.add_argument("--loops", type=_at_least_one, help="how often to play (default 1)")
    group.add_argument(
        "--continuous",
        action="store_true",
        help="stamps and clock run on through the loops (default: the clock jumps back)",
    )
    group.add_argument("--namespace", help="of the node (default none)")
    group.add_argument("--shadow", action="store_true", help="the node is in shadow mode")
    group.add_argument(
        "--all-topics", action="store_true", help="play also what the planner does not read"
    )
    group.add_argument(
        "--node-timeout", type=_positive, help="seconds to wait for the node (default 60)"
    )


def ros_options(arguments: argparse.Namespace) -> dict[str, Any] | None:
    """Return how to play a bag to a node, as fields of `GraphRequest`; None without --ros.

    Raises:
        ConfigError: options that do not go together.
    """
    options = {name: getattr(arguments, name) for name in _ROS_FIELDS}
    given = {name: value for name, value in options.items() if value not in (None, False)}
    if not arguments.ros:
        if given:
            raise ConfigError(f"--{min(given).replace('_', '-')}: expected --ros beside it")
        return None
    if "rate" in given and "lock_step" in given:
        raise ConfigError("--rate: lock-step goes as fast as the node answers and has no rate")
    if "all_topics" in given and "lock_step" in given:
        raise ConfigError("--all-topics: in lock-step only what the node reads can be played")
    own = [n for n in ("model", "backend", "threads", "seed") if getattr(arguments, n) is not None]
    if own and "with_node" not in given:
        raise ConfigError(
            f"--{own[0]}: a running node has its own parameters; --with-node starts one with this"
        )
    return {_ROS_FIELDS[name]: value for name, value in given.items()}


def _add_export(commands: _Commands[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "export",
        help="write a model folder: weights, ONNX with all steps inside, card (needs torch)",
        description="Builds the nano network, untrained, from a seed and writes a model folder.  "
        "Refused when the ONNX differs from torch.",
        epilog="example:\n  diff-planner export --model nano --out models/my_nano --seed 1",
        formatter_class=_FORMATTER,
    )
    parser.add_argument("--model", choices=["nano"], default="nano", help="which network")
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    return parser


def _add_score(commands: _Commands[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "score",
        help="score proposals on scenes as NAVSIM does",
        description="Writes the scores of every proposal on every scene.  Without --proposals: the "
        "candidates of golden scenes; on other scenes constant velocity, the logged human and an "
        "IDM driver.  A scene without a reference is given the IDM driver's plan as one.",
        epilog="example:\n  diff-planner score scenes.npz --proposals plans.npz --metric epdms "
        "--out out/scores.json",
        formatter_class=_FORMATTER,
    )
    parser.add_argument("scenes", type=Path, help="scenes: JSON, npz, or a folder of them")
    parser.add_argument(
        "--proposals",
        type=Path,
        metavar="NPZ",
        help="npz of proposals [S, K, 8, 3] (ego frame, preferred first) and tokens [S]",
    )
    parser.add_argument("--metric", choices=["pdms", "epdms"], default="pdms", help="default pdms")
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    return parser


def _add_evaluate(commands: _Commands[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "evaluate",
        help="score policies on scenes and show them side by side",
        description="Scores each policy on each scene and writes OUT/NAME.results.jsonl for each "
        "and one page, OUT/report.html.  Of several proposals for a scene the first counts as the "
        "policy's choice.",
        epilog="example:\n  diff-planner evaluate scenes.json --policy idm --policy plans.npz "
        "--metric pdms --out out/evaluation",
        formatter_class=_FORMATTER,
    )
    parser.add_argument("scenes", type=Path, help="scenes: JSON, npz, or a folder of them")
    parser.add_argument(
        "--policy",
        action="append",
        default=[],
        metavar="NAME|FILE",
        help="constant_velocity, human, idm, or PROPOSALS.npz; may come several times, the first "
        "is what the others are compared with",
    )
    parser.add_argument("--metric", choices=["pdms", "epdms"], default="pdms", help="default pdms")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument(
        "--compare",
        action="append",
        default=[],
        metavar="[NAME=]FILE",
        help="results.jsonl of an earlier run to show beside these; may come several times",
    )
    parser.add_argument(
        "--pictures", type=_count, default=6, help="worst scenes to draw (default 6)"
    )
    return parser


_COMMANDS = {
    "demo": _add_demo,
    "doctor": _add_doctor,
    "replay": _add_replay,
    "export": _add_export,
    "score": _add_score,
    "evaluate": _add_evaluate,
}
