"""The codes of a plan in words, written once for every page and table."""

from __future__ import annotations

from diff_planner.types import FaultBit, RejectBit, Source

SOURCE_WORDS: dict[Source, str] = {
    Source.UNKNOWN: "not known; never published",
    Source.DIFFUSION: "made by the network in this cycle and passed by every safety rule",
    Source.HOLD_LAST: "the rest of the last good plan, because this cycle gave none",
    Source.FALLBACK_STOP: "a comfortable stop, because no plan was good",
    Source.EMERGENCY_STOP: "the hardest stop within the vehicle's limits",
    Source.REPLAY: "copied from a recording",
}

REJECT_WORDS: dict[RejectBit, str] = {
    RejectBit.NONFINITE: "a number is NaN or infinite",
    RejectBit.CURVATURE: "turns tighter than the vehicle can",
    RejectBit.LAT_ACC: "corners too fast: lateral acceleration above the limit",
    RejectBit.LON_ACC: "accelerates or brakes harder than the vehicle can",
    RejectBit.JERK: "changes its acceleration too abruptly",
    RejectBit.STEER_RATE: "needs the wheels to turn faster than they can",
    RejectBit.DISCONTINUITY: "jumps away from the present motion or from the last plan",
    RejectBit.TOO_SHORT: "ends before the vehicle could stop",
    RejectBit.REVERSE: "drives backwards",
    RejectBit.COLLISION: "runs into something the LiDAR sees",
    RejectBit.OFF_ROAD: "leaves the drivable area",
}

FAULT_WORDS: dict[FaultBit, str] = {
    FaultBit.INPUT_MISSING: "a needed input is missing",
    FaultBit.INPUT_STALE: "an input is older than allowed",
    FaultBit.SYNC: "inputs of the cycle lie too far apart in time",
    FaultBit.TF: "a transform is missing",
    FaultBit.CAMERA_INFO: "a camera has no usable calibration",
    FaultBit.NONFINITE_IN: "an input holds NaN or infinity",
    FaultBit.NONFINITE_OUT: "the network gave NaN or infinity",
    FaultBit.INFEASIBLE: "none of the candidates that were tried passes the safety rules",
    FaultBit.DISCONTINUOUS: "no candidate continues the last plan",
    FaultBit.DEADLINE: "the cycle took longer than its period",
    FaultBit.MODEL: "the model is missing or failed",
    FaultBit.GPU: "the accelerator is lost or out of memory",
    FaultBit.QOS: "a publisher's QoS does not fit",
    FaultBit.CLOCK_JUMP: "time ran backwards or jumped ahead",
    FaultBit.ESTOP_INPUT: "the emergency stop is pressed or silent",
    FaultBit.STAMP_ESTIMATED: "the stamp is an estimate, no valid one was there",
}


def reject_names(bits: int) -> list[str]:
    """Return the names of the set bits, lowest first."""
    return [bit.name for bit in RejectBit if bits & bit and bit.name]


def fault_sentences(faults: FaultBit) -> list[str]:
    """Return the set faults in words, lowest bit first."""
    return [words for bit, words in FAULT_WORDS.items() if faults & bit]
