"""The `diff-planner` command: each sub-command reads its arguments and calls one function.

Exit codes: 0 only when it did what was asked, 1 for a check that failed, 2 for bad usage or
input, 128 + n when signal n ended it.  Progress goes to stderr, results to stdout.
"""

from __future__ import annotations

import argparse
import glob
import json
import logging
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from diff_planner import __version__
from diff_planner.errors import ConfigError, DiffPlannerError, OutputError
from diff_planner.files import make_folder, whole_file

EXIT_OK, EXIT_CHECK_FAILED, EXIT_BAD_INPUT = 0, 1, 2
EXIT_INTERRUPTED, EXIT_NO_READER, EXIT_TERMINATED = 130, 141, 143
_FORMATTER = argparse.RawDescriptionHelpFormatter


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="diff-planner",
        description="A truncated-diffusion planner for vehicles that run ROS 2.",
        epilog="example:\n  diff-planner demo --out out/demo",
        formatter_class=_FORMATTER,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_demo(commands)
    _add_doctor(commands)
    _add_replay(commands)
    _add_export(commands)
    _add_score(commands)
    _add_evaluate(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    arguments = build_parser().parse_args(words, argparse.Namespace(words=words))
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    run: Callable[[argparse.Namespace], int] = arguments.run
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


def _add_common(parser: argparse.ArgumentParser, run: Callable[..., int]) -> None:
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
    value = int(text)
    if not 0 <= value < 2**63:
        raise argparse.ArgumentTypeError(f"expected 0 to 2^63 - 1, got {value}")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected seconds, 0 or more, got {text}")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected 0 or more, got {value}")
    return value


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", help="a folder of models/ or a path (default nano)")
    parser.add_argument("--backend", choices=["openvino", "torch"], help="default openvino")
    parser.add_argument("--threads", type=int, help="inference threads (default 1)")


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "demo",
        help="make a sample bag, plan on it, show the result",
        description="Makes a synthetic 5 s bag, replays it through the planner and writes a page.",
        epilog="example:\n  diff-planner demo --out out/demo",
        formatter_class=_FORMATTER,
    )
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder to write to")
    _add_model_options(parser)
    _add_common(parser, _run_demo)


def _add_doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
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
    _add_common(parser, _run_doctor)


def _add_replay(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "replay",
        help="plan on a recorded bag, lock-step and deterministic",
        description="Feeds a bag through the planner and writes plans, candidates and status into "
        "a new bag.  Without --config the topics are found as `doctor` finds them.",
        epilog="example:\n  diff-planner replay drive.mcap --out plans.mcap --report report.html",
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
    _add_common(parser, _run_replay)


def _add_export(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
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
    _add_common(parser, _run_export)


def _add_score(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
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
    _add_common(parser, _run_score)


def _add_evaluate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
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
    _add_common(parser, _run_evaluate)


def _run_demo(arguments: argparse.Namespace) -> int:
    from diff_planner.data.sample_bag import make_sample_bag

    out: Path = arguments.out
    bag = out / "sample.mcap"
    if bag.exists():
        print(f"using the sample bag of an earlier run: {bag}", file=sys.stderr)
    else:
        print(f"making a sample bag, about 20 s: {bag}", file=sys.stderr)
        make_folder(out)
        make_sample_bag(bag)
    return _replay(
        arguments,
        bag=bag,
        plans=out / "plans.mcap",
        page=out / "report.html",
        overwrite=True,
    )


def _run_doctor(arguments: argparse.Namespace) -> int:
    from diff_planner.config import load_config
    from diff_planner.data import doctor

    config = load_config(arguments.config) if arguments.config else None
    report = doctor.examine(arguments.bag, config)
    print(_printable(doctor.render(report)))
    _write_json(arguments.json, report.to_dict())
    if arguments.config_out and report.config_yaml:
        with whole_file(arguments.config_out) as partial:
            partial.write_text(report.config_yaml, encoding="utf-8")
    return EXIT_OK if report.can_drive else EXIT_CHECK_FAILED


def _run_replay(arguments: argparse.Namespace) -> int:
    return _replay(
        arguments,
        bag=arguments.bag,
        plans=arguments.out,
        page=arguments.report,
        overwrite=arguments.overwrite,
        config_path=arguments.config,
        start_s=arguments.start,
        duration_s=arguments.duration,
    )


def _run_export(arguments: argparse.Namespace) -> int:
    try:
        from diff_planner.inference.export import export_nano
    except ImportError as error:
        raise ConfigError(f"export needs the extra 'train' (torch): {error}") from None
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
        seed=arguments.seed,
        command="diff-planner " + " ".join(sys.argv[1:]),
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
                seed=arguments.seed,
                command="diff-planner " + " ".join(sys.argv[1:]),
            ),
            on_progress=on_progress,
        )
    print(found.table())
    for name, path in found.files.items():
        print(f"{name:<20} {path}")
    _write_json(arguments.json, found.to_dict())
    return EXIT_OK


def _replay(
    arguments: argparse.Namespace,
    *,
    bag: Path,
    plans: Path,
    page: Path | None,
    overwrite: bool,
    config_path: Path | None = None,
    start_s: float = 0.0,
    duration_s: float | None = None,
) -> int:
    from diff_planner.commands.replay import ReplayRequest, run_replay

    with _progress("replay") as on_progress:
        run = run_replay(
            ReplayRequest(
                bag=bag,
                plans=plans,
                page=page,
                overwrite=overwrite,
                config_path=config_path,
                start_s=start_s,
                duration_s=duration_s,
                model=arguments.model,
                backend=arguments.backend,
                threads=arguments.threads,
                seed=arguments.seed,
                command=shlex.join(["diff-planner", *arguments.words]),
            ),
            on_progress=on_progress,
        )
    print(_printable(run.table))
    for name, path in run.files.items():
        print(_printable(f"{name:<8} {path}"))
    _write_json(arguments.json, run.to_dict())
    return EXIT_OK


@contextmanager
def _progress(name: str) -> Iterator[Callable[[float], None]]:
    """Show a bar on stderr; yield what takes the share that is done."""
    # A log file gets a line now and then, a terminal a moving bar.
    often = 0.1 if sys.stderr.isatty() else 10.0
    style = "{desc}: {percentage:3.0f}% |{bar}| {elapsed}<{remaining}"
    with tqdm(total=100, desc=name, leave=False, bar_format=style, mininterval=often) as bar:

        def show(share: float) -> None:
            bar.update(100.0 * share - bar.n)

        yield show


def _write_json(path: Path | None, values: object) -> None:
    if path is not None:
        text = json.dumps(values, indent=2, allow_nan=False) + "\n"
        with whole_file(path) as partial:
            partial.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
