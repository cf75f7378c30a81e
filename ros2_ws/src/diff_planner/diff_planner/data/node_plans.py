"""What a node published, joined with what it saw: cycles as an offline replay hands them on.

The plans come from the recorder's bag; the inputs are assembled again from the bag that was played.
Both are read once, side by side in the order of their stamps, so memory stays small.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from diff_planner.config import PlannerConfig
from diff_planner.data import cdr
from diff_planner.data.assembler import InputAssembler, MissedCycle
from diff_planner.data.bag_reader import BagReader
from diff_planner.data.decode_plan import planner_output
from diff_planner.data.play_schedule import PlaySchedule
from diff_planner.data.replay import CANDIDATES_TOPIC, STATUS_TOPIC, TRAJECTORY_TOPIC
from diff_planner.data.replay_types import ReplayCycle
from diff_planner.data.typestore import typestore
from diff_planner.types import FloatArray, Message, PlannerInput


@dataclass(frozen=True)
class PlanMark:
    """The few numbers of one plan that counting needs."""

    plan_id: int
    stamp_ns: int
    source: int


def plan_marks(plans: BagReader) -> list[PlanMark]:
    """Return the marks of all plans of a bag, in the order in which they were made."""
    marks = [
        PlanMark(cdr.plan_id(raw.data), cdr.stamp_ns(raw.data), cdr.plan_source(raw.data))
        for raw in plans.raw_messages([TRAJECTORY_TOPIC])
    ]
    return sorted(marks, key=lambda mark: mark.plan_id)


def first_loop(marks: list[PlanMark], loop_ns: int) -> set[int]:
    """Return the ids of the plans before the time of the bag jumped back or ran into loop two.

    Args:
        marks: in the order in which the plans were made.
        loop_ns: length of a loop.
    """
    ids: set[int] = set()
    newest_ns = None
    for mark in marks:
        if newest_ns is not None and mark.stamp_ns < newest_ns - loop_ns // 2:
            break
        newest_ns = max(mark.stamp_ns, newest_ns or mark.stamp_ns)
        if mark.stamp_ns < marks[0].stamp_ns + loop_ns:
            ids.add(mark.plan_id)
    return ids


def anchor_stamps(schedule: PlaySchedule, topic: str) -> Counter[int]:
    """Return how often each stamp of the anchor sensor is played, over all loops."""
    return Counter(cdr.stamp_ns(message.data) for message in schedule.messages([topic]))


def planned_anchors(marks: list[PlanMark], anchors: Mapping[int, int]) -> int:
    """Return for how many of the anchor messages there is a plan, whatever its source."""
    plans = Counter(mark.stamp_ns for mark in marks)
    return sum(min(count, plans[stamp]) for stamp, count in anchors.items())


def node_cycles(
    plans: BagReader,
    reader: BagReader,
    schedule: PlaySchedule,
    config: PlannerConfig,
    *,
    wanted: set[int],
    timings: Mapping[int, Mapping[str, float]],
) -> Iterator[tuple[ReplayCycle, bool]]:
    """Yield each plan with its inputs, and whether it was the watchdog's.

    Args:
        plans: what was recorded.
        reader: the bag that was played.
        schedule: how it was played; the first loop is assembled.
        config: of the node.
        wanted: plan ids of the first loop.
        timings: milliseconds by stage, by plan id.

    Raises:
        BagError: one of the bags breaks off.
    """
    inputs = _assembled(reader, schedule, config)
    ahead = next(inputs, None)
    for index, messages in enumerate(_plans(plans, wanted)):
        trajectory = messages[TRAJECTORY_TOPIC]
        stamp = trajectory.header.stamp
        stamp_ns = stamp.sec * 1_000_000_000 + stamp.nanosec
        while ahead is not None and ahead.stamp_ns < stamp_ns:
            ahead = next(inputs, None)
        seen, ahead = (ahead, next(inputs, None)) if _is_at(ahead, stamp_ns) else (None, ahead)
        planner_input = seen if isinstance(seen, PlannerInput) else None
        output = planner_output(
            trajectory,
            messages.get(CANDIDATES_TOPIC),
            messages.get(STATUS_TOPIC),
            wheelbase_m=config.vehicle.wheelbase_m,
            frame_SE3_ego=_known_pose(trajectory, planner_input),
        )
        output = replace(output, timing_ms=timings.get(output.plan_id, {}))
        yield ReplayCycle(index, stamp_ns, planner_input, output), seen is None


def _is_at(item: PlannerInput | MissedCycle | None, stamp_ns: int) -> bool:
    return item is not None and item.stamp_ns == stamp_ns


def _known_pose(trajectory: Message, planner_input: PlannerInput | None) -> FloatArray | None:
    """Return base_link in the plan's frame, where the inputs tell it."""
    if planner_input is None or planner_input.ego.frame_id != trajectory.header.frame_id:
        return None
    return planner_input.ego.odom_SE3_ego


def _plans(plans: BagReader, wanted: set[int]) -> Iterator[dict[str, Message]]:
    """Yield the messages of each wanted plan by topic, in the order of stamps."""
    store = typestore()
    pending: dict[int, dict[str, Message]] = {}
    now_ns = None
    for raw in plans.raw_messages([TRAJECTORY_TOPIC, CANDIDATES_TOPIC, STATUS_TOPIC]):
        if raw.log_time_ns != now_ns:  # all messages of a plan are logged at its stamp
            yield from _whole(pending)
            pending, now_ns = {}, raw.log_time_ns
        plan_id = cdr.plan_id(raw.data)
        if plan_id in wanted:
            message = store.deserialize_cdr(raw.data, raw.msgtype)
            # The status that came with the plan, not a later one.
            pending.setdefault(plan_id, {}).setdefault(raw.topic, message)
    yield from _whole(pending)


def _whole(pending: dict[int, dict[str, Message]]) -> Iterator[dict[str, Message]]:
    return (pending[k] for k in sorted(pending) if TRAJECTORY_TOPIC in pending[k])


def _assembled(
    reader: BagReader, schedule: PlaySchedule, config: PlannerConfig
) -> Iterator[PlannerInput | MissedCycle]:
    """Assemble the first loop as an offline replay does, without planning."""
    assembler = InputAssembler(config.inputs, config.vehicle)
    end_ns = schedule.stop_ns + round(config.inputs.sync_wait_s * 1e9)
    if config.inputs.tf_static in schedule.topics and schedule.start_ns > reader.start_ns:
        for message in reader.messages([config.inputs.tf_static], stop_ns=schedule.start_ns):
            assembler.add(message.topic, message.message, schedule.start_ns)
    topics = [topic for topic in assembler.topics if topic in schedule.topics]
    for message in reader.messages(topics, schedule.start_ns, schedule.stop_ns):
        assembler.add(message.topic, message.message, message.log_time_ns)
        while (match := assembler.match(message.log_time_ns)) is not None:
            yield assembler.assemble(match)
    while (match := assembler.match(end_ns)) is not None:
        yield assembler.assemble(match)
