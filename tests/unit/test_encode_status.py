"""Status and timing as messages: through CDR and back, with nothing in them that is not finite."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from diff_planner.data import encode_status
from diff_planner.data.encode_status import Counters, HealthState, ModelLabel, StatusReport
from diff_planner.data.typestore import make_message
from diff_planner.inference.card import ModelCard, load_card
from diff_planner.resources import model_folder
from diff_planner.types import FaultBit, InputHealth, PlannerState, Source
from factories import STAMP_NS
from plan_factories import make_output, through_cdr


@dataclass(frozen=True)
class LoadedNano:
    """What a label reads of a backend."""

    card: ModelCard = field(default_factory=lambda: load_card(model_folder("nano")))
    name: str = "openvino"
    precision: str = "f32"


COUNTERS = Counters(cycles=9, fallbacks=2, dropped_frames=1, deadline_misses=3, drop_ratio=0.1)


def status_of(report, *, model=None, counters=COUNTERS, is_shadow=False):
    message = encode_status.status_message(
        make_message,
        report,
        model=ModelLabel.of(LoadedNano()) if model is None else model,
        counters=counters,
        is_shadow=is_shadow,
    )
    return through_cdr(message)


def health_of(**changes):
    values = {"name": "lidar", "topic": "/p", "is_present": True, "age_s": 0.01, "max_age_s": 0.06}
    return InputHealth(**{**values, **changes})


def first_input(health):
    report = StatusReport(STAMP_NS, PlannerState.NOMINAL, health=(health,))
    return status_of(report).inputs[0]


def test_the_status_says_what_suffers_in_bits_and_words_and_that_the_model_is_untrained():
    health = [
        InputHealth("front", "/f", True, 0.01, 0.06, received=5),
        InputHealth("left", "/l", False, np.nan, 0.06, FaultBit.INPUT_MISSING),
        InputHealth("lidar", "/p", False, 0.4, 0.06, FaultBit.INPUT_STALE, received=3),
        InputHealth("right", "/r", False, np.nan, 0.06, FaultBit.CAMERA_INFO, received=3),
    ]
    output = make_output(
        state=PlannerState.FALLBACK,
        faults=FaultBit.INPUT_STALE | FaultBit.CAMERA_INFO,
        reason="lidar: 0.4 s old",
        health=tuple(health),
        seed=4,
    )
    message = status_of(StatusReport.of(output))
    assert message.state == message.STATE_FALLBACK
    assert message.fault_bits == message.FAULT_INPUT_STALE | message.FAULT_CAMERA_INFO
    assert message.reason == "lidar: 0.4 s old"
    assert (message.plan_id, message.source, message.seed) == (7, Source.DIFFUSION, 4)
    states = [entry.state for entry in message.inputs]
    entry = message.inputs[0]
    assert states == [entry.STATE_OK, entry.STATE_NEVER, entry.STATE_STALE, entry.STATE_INVALID]
    assert "untrained" in message.model_note
    assert message.model_sha256 == load_card(model_folder("nano")).model_sha256
    assert (message.cycle_count, message.fallback_count) == (9, 2)
    assert (message.dropped_frame_count, message.deadline_miss_count) == (1, 3)
    assert message.drop_ratio == pytest.approx(0.1)


def test_a_reason_longer_than_the_message_allows_is_cut_visibly():
    message = status_of(StatusReport.of(make_output(reason="ü" * 300)))
    assert len(message.reason.encode()) <= 256
    assert message.reason.endswith("...")


def test_before_a_model_is_loaded_the_status_has_a_state_a_reason_and_no_model():
    report = StatusReport(STAMP_NS, PlannerState.BUILDING_ENGINE, reason="loading nano")
    message = status_of(report, model=ModelLabel(), counters=Counters(), is_shadow=True)
    assert message.state == message.STATE_BUILDING_ENGINE
    assert (message.source, message.plan_id, message.reason) == (0, 0, "loading nano")
    assert (message.model_id, message.backend, message.inputs) == ("", "", [])
    assert message.is_shadow
    assert message.header.stamp.sec * 10**9 + message.header.stamp.nanosec == STAMP_NS


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, HealthState.OK),
        ({"fault": FaultBit.QOS, "is_present": False}, HealthState.QOS_MISMATCH),
        ({"fault": FaultBit.INPUT_MISSING, "is_present": False}, HealthState.NEVER),
        (
            {"fault": FaultBit.INPUT_STALE, "is_present": False, "received": 4},
            HealthState.STALE,
        ),
        ({"fault": FaultBit.SYNC, "is_present": False, "received": 4}, HealthState.LATE),
        ({"is_present": False, "received": 4}, HealthState.LATE),
        ({"fault": FaultBit.TF, "is_present": False, "received": 4}, HealthState.INVALID),
    ],
)
def test_an_input_is_in_the_state_that_its_fault_says(changes, state):
    assert first_input(health_of(**changes)).state == state


def test_ages_and_rates_that_are_not_known_are_minus_one():
    entry = first_input(health_of(age_s=np.nan, rate_hz=np.inf))
    assert (entry.age_s, entry.rate_hz, entry.expected_rate_hz) == (-1.0, -1.0, -1.0)
    measured = first_input(health_of(rate_hz=9.5, expected_rate_hz=10.0))
    assert (measured.rate_hz, measured.expected_rate_hz) == (9.5, 10.0)


def test_names_longer_than_the_message_allows_are_cut_by_bytes():
    health = health_of(name="ä" * 64, topic="/" + "t" * 300)
    entry = first_input(health)
    assert len(entry.name.encode()) <= 64
    assert len(entry.topic) == 256


def timing_of(timing, **changes):
    values = {"output_stamp_ns": STAMP_NS, "plan_id": 3, "is_deadline_missed": False}
    message = encode_status.timing_message(make_message, timing=timing, **{**values, **changes})
    return through_cdr(message)


def test_each_stage_of_a_cycle_has_its_field():
    stages = ["sensor_age", "sync_wait", "decode", "features", "inference", "refine", "safety"]
    stages += ["publish", "total", "end_to_end"]
    message = timing_of({stage: float(k + 1) for k, stage in enumerate(stages)})
    fields = ["sensor_age_ms", "sync_wait_ms", "decode_ms", "preprocess_ms", "denoise_ms"]
    fields += ["postprocess_ms", "validate_ms", "publish_ms", "compute_total_ms", "end_to_end_ms"]
    assert [getattr(message, field) for field in fields] == [float(k + 1) for k in range(10)]
    assert (message.h2d_ms, message.encoder_ms, message.d2h_ms) == (-1.0, -1.0, -1.0)
    assert (message.plan_id, message.is_deadline_missed) == (3, False)


def test_the_planners_own_stages_all_have_a_field():
    named = {stage for stages in encode_status._STAGES_OF.values() for stage in stages}
    planners = {"features", "inference", "refine", "safety", "fallback", "total"}
    assert planners <= named


def test_a_cycle_that_fell_back_counts_the_fallback_and_leaves_the_rest_at_minus_one():
    message = timing_of({"refine": 2.0, "fallback": 3.0, "total": np.nan}, is_deadline_missed=True)
    assert (message.postprocess_ms, message.validate_ms) == (5.0, -1.0)
    assert message.compute_total_ms == -1.0
    assert message.is_deadline_missed
