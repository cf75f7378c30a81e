"""The `diff-planner` command: each sub-command reads its arguments and calls one function.

Exit codes: 0 only when it did what was asked, 1 for a check that failed, 2 for bad usage or
input, 128 + n when signal n ended it.  Progress goes to stderr, results to stdout.
"""

from __future__ import annotations

import argparse
import glob
import io
import json
import logging
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from diff_planner.commands.arguments import Run, build_parser, ros_options
from diff_planner.errors import (
    BagError,
    ConfigError,
    DiffPlannerError,
    OutputError,
    RecordingError,
)
from diff_planner.files import make_folder, whole_file

if TYPE_CHECKING:
    from diff_planner.commands.replay import ReplayRequest, ReplayRun
    from diff_planner.commands.replay_ros import NodeRun

EXIT_OK, EXIT_CHECK_FAILED, EXIT_BAD_INPUT = 0, 1, 2
EXIT_INTERRUPTED, EXIT_NO_READER, EXIT_TERMINATED = 130, 141, 143
_PROGRESS_PERIOD_S = 10.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal without the letters of a bag's name
            stream.reconfigure(errors="backslashreplace")
    arguments = build_parser(_RUNS).parse_args(words, argparse.Namespace(words=words))
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    run: Run = arguments.run
    try:
        with _tidy_when_terminated():
            _check_outputs(arguments)
            code = run(arguments)
            sys.stdout.flush()
            return code
    except DiffPlannerError as error:
        print(_printable(f"diff-planner {arguments.command}: {error}"), file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print(
            f"diff-planner {arguments.command}: interrupted, no unfinished file is left",
            file=sys.stderr,
        )
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has left, as `head` does; what is still buffered goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_NO_READER
    except OSError as error:
        print(_printable(f"diff-planner {arguments.command}: {error}"), file=sys.stderr)
        return EXIT_BAD_INPUT


@contextmanager
def _tidy_when_terminated() -> Iterator[None]:
    """Let SIGTERM end the command as an exception does, so that unfinished files are removed."""

    def stop(*_: object) -> None:
        raise SystemExit(EXIT_TERMINATED)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _check_outputs(arguments: argparse.Namespace) -> None:
    """Refuse an output that is an input or another output: one of the two would be lost.

    Raises:
        OutputError: with the path and what it is.
    """
    values = vars(arguments)
    taken: dict[str, str] = {}
    if bag := values.get("bag"):
        files = glob.glob(os.path.join(glob.escape(str(bag)), "*"))
        taken = {os.path.realpath(path): "the bag to read" for path in [bag, *files]}
    if config := values.get("config"):
        taken[os.path.realpath(config)] = "the configuration to read"
    for name in ("out", "report", "json", "config_out"):
        if path := values.get(name):
            real = os.path.realpath(path)
            if real in taken:
                raise OutputError(f"{path}: is {taken[real]}; choose another name")
            taken[real] = "named for two outputs"


def _printable(text: str) -> str:
    """Return a text without control characters: names in a bag must not command the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


def _run_demo(arguments: argparse.Namespace) -> int:
    from diff_planner.data.sample_bag import make_sample_bag

    out: Path = arguments.out
    bag = out / "sample.mcap"
    if arguments.ros:
        from diff_planner.commands.replay_ros import use_own_domain

        use_own_domain()
    if _is_whole(bag):
        print(f"using the sample bag of an earlier run: {bag}", file=sys.stderr)
    else:
        print(f"making a sample bag, about 20 s: {bag}", file=sys.stderr)
        make_folder(out)
        bag.unlink(missing_ok=True)
        make_sample_bag(bag)
    plans, page = out / "plans.mcap", out / "report.html"
    if arguments.ros:
        request = _replay_request(arguments, bag=bag, plans=plans, page=page, overwrite=True)
        return _replay_ros(arguments, request, has_own_node=True, node_log=out / "node.log")
    return _replay(
        arguments, _replay_request(arguments, bag=bag, plans=plans, page=page, overwrite=True)
    )


def _is_whole(bag: Path) -> bool:
    from diff_planner.data.bag_reader import BagReader

    try:
        with BagReader(bag):
            return True
    except BagError:
        return False


def _run_doctor(arguments: argparse.Namespace) -> int:
    from diff_planner.config import load_config
    from diff_planner.data import doctor

    config = load_config(arguments.config) if arguments.config else None
    with _progress("doctor") as on_progress:
        report = doctor.examine(arguments.bag, config, on_progress)
    print(_printable(doctor.render(report)))
    _write_json(arguments.json, report.to_dict())
    if arguments.config_out and report.config_yaml:
        with whole_file(arguments.config_out) as partial:
            partial.write_text(report.config_yaml, encoding="utf-8")
    return EXIT_OK if report.can_drive else EXIT_CHECK_FAILED


def _run_replay(arguments: argparse.Namespace) -> int:
    request = _replay_request(
        arguments,
        bag=arguments.bag,
        plans=arguments.out,
        page=arguments.report,
        overwrite=arguments.overwrite,
        config_path=arguments.config,
        start_s=arguments.start,
        duration_s=arguments.duration,
    )
    options = ros_options(arguments)
    return (
        _replay(arguments, request)
        if options is None
        else _replay_ros(arguments, request, **options)
    )


def _run_export(arguments: argparse.Namespace) -> int:
    try:
        from diff_planner.inference.export import export_nano
    except ImportError as error:
        raise ConfigError(f"export needs the extra 'train' (torch): {error}") from None
    print("exporting, and holding the graph against torch: about 5 s", file=sys.stderr)
    card = export_nano(arguments.out, seed=arguments.seed or 0)
    print(f"{arguments.out}: {card.name}, {card.training}")
    _write_json(arguments.json, card.model_dump(mode="json"))
    return EXIT_OK


def _run_score(arguments: argparse.Namespace) -> int:
    from diff_planner.commands.score import ScoreRequest, run_score

    request = ScoreRequest(
        scenes=arguments.scenes,
        out=arguments.out,
        proposals=arguments.proposals,
        metric=arguments.metric,
        seed=arguments.seed or 0,
        command=_command_line(arguments),
    )
    with _progress("score") as on_progress:
        run = run_score(request, on_progress)
    print(run.table)
    for text in run.explanations:
        print(text)
    for name, path in run.files.items():
        print(f"{name:<20} {path}")
    _write_json(arguments.json, run.to_dict())
    return EXIT_OK


def _run_evaluate(arguments: argparse.Namespace) -> int:
    from diff_planner.commands.evaluate import EvaluateRequest, evaluate

    with _progress("evaluate") as on_progress:
        found = evaluate(
            EvaluateRequest(
                scenes=arguments.scenes,
                policies=tuple(arguments.policy),
                metric=arguments.metric,
                out=arguments.out,
                compare=tuple(arguments.compare),
                pictures=arguments.pictures,
                seed=arguments.seed or 0,
                command=_command_line(arguments),
            ),
            on_progress=on_progress,
        )
    print(found.table())
    for name, path in found.files.items():
        print(f"{name:<20} {path}")
    _write_json(arguments.json, found.to_dict())
    return EXIT_OK


def _replay_request(
    arguments: argparse.Namespace,
    **fields: Any,  # noqa: ANN401 - fields of ReplayRequest
) -> ReplayRequest:
    """Return the request with the options that replay and demo share."""
    from diff_planner.commands.replay import ReplayRequest

    return ReplayRequest(
        model=arguments.model,
        backend=arguments.backend,
        threads=arguments.threads,
        seed=arguments.seed,
        command=_command_line(arguments),
        **fields,
    )


def _replay(arguments: argparse.Namespace, request: ReplayRequest) -> int:
    from diff_planner.commands.replay import run_replay

    with _progress("replay") as on_progress:
        run = run_replay(request, on_progress=on_progress)
    return _show(arguments, run)


def _replay_ros(
    arguments: argparse.Namespace,
    request: ReplayRequest,
    **graph: Any,  # noqa: ANN401 - fields of GraphRequest
) -> int:
    from diff_planner.commands.replay_ros import run_replay_ros

    def say(text: str) -> None:
        print(_printable(text), file=sys.stderr)

    try:
        with _progress("replay") as on_progress:
            run = run_replay_ros(request, say=say, on_progress=on_progress, **graph)
    except RecordingError as error:
        say(f"diff-planner {arguments.command}: {error}")
        return EXIT_CHECK_FAILED
    return _show(arguments, run)


def _show(arguments: argparse.Namespace, run: ReplayRun | NodeRun) -> int:
    print(_printable(run.table))
    for name, path in run.files.items():
        print(_printable(f"{name:<8} {path}"))
    _write_json(arguments.json, run.to_dict())
    return EXIT_OK


@contextmanager
def _progress(name: str) -> Iterator[Callable[[float], None]]:
    """Show a bar on stderr; yield what takes the share that is done."""
    if not sys.stderr.isatty():
        yield _lines_of_progress(name)
        return
    style = "{desc}: {percentage:3.0f}% |{bar}| {elapsed}<{remaining}"
    with tqdm(total=100, desc=name, leave=False, bar_format=style) as bar:

        def show(share: float) -> None:
            bar.update(100.0 * share - bar.n)

        yield show


def _lines_of_progress(name: str) -> Callable[[float], None]:
    """Return what writes a line now and then: a log file is no place for a moving bar."""
    last_s = time.monotonic()

    def show(share: float) -> None:
        nonlocal last_s
        if time.monotonic() - last_s >= _PROGRESS_PERIOD_S:
            last_s = time.monotonic()
            print(f"{name}: {share:.0%}", file=sys.stderr)

    return show


def _command_line(arguments: argparse.Namespace) -> str:
    """Return the command so that it can be pasted into a shell."""
    return shlex.join(["diff-planner", *arguments.words])


def _write_json(path: Path | None, values: object) -> None:
    if path is not None:
        text = json.dumps(values, indent=2, allow_nan=False) + "\n"
        with whole_file(path) as partial:
            partial.write_text(text, encoding="utf-8")


_RUNS: dict[str, Run] = {
    "demo": _run_demo,
    "doctor": _run_doctor,
    "replay": _run_replay,
    "export": _run_export,
    "score": _run_score,
    "evaluate": _run_evaluate,
}


if __name__ == "__main__":
    sys.exit(main())
