"""`Planner.plan`: the one line from sensors to a labelled plan, read top to bottom.

The ROS node, the bag replay, the simulator and the rollout collector call it and hold no
planning logic of their own.  It is also the only place where an exception becomes a safe plan.
"""

from __future__ import annotations

import itertools
import logging
import threading
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from diff_planner import fallback, noise, safety, selection
from diff_planner.config import PlannerConfig
from diff_planner.errors import (
    BackendError,
    ContractError,
    DiffPlannerError,
    MissingInputError,
    NonFiniteInputError,
)
from diff_planner.fallback import LastPlan
from diff_planner.features import FeatureBuilder
from diff_planner.inference.backend import Backend
from diff_planner.refine import refine
from diff_planner.stage_clock import StageClock
from diff_planner.types import (
    PLAN_POINTS,
    Candidates,
    EgoState,
    FaultBit,
    FloatArray,
    InputHealth,
    LidarSweep,
    PlannerInput,
    PlannerOutput,
    PlannerState,
    RejectBit,
    Source,
    StateIndex,
    Trajectory,
)

logger = logging.getLogger("diff_planner")

_JUMP_SPAN_S = 1.0
"""Over longer times without a plan nothing is said about where the vehicle may be."""
_JUMP_SLACK_M = 1.0
"""What a localisation may correct itself by without a word."""


@dataclass(frozen=True)
class _Choice:
    """What a cycle came to: the chosen states, or None with the reason."""

    candidates: Candidates
    states: NDArray[np.float64] | None
    faults: FaultBit
    reason: str


class Planner:
    """One planner for one vehicle: deterministic in (input, seed, model, config) and last plan."""

    def __init__(self, config: PlannerConfig, backend: Backend, *, first_plan_id: int = 1) -> None:
        """Take a loaded backend.

        Args:
            config: everything the planner is told.
            backend: its card decides the features that are built.
            first_plan_id: goes on counting where an earlier planner of this process ended.
        """
        self._lock = threading.RLock()
        """What a fallback on another thread shares with a plan; never held while planning."""
        self.config = config
        self.use(backend)
        self._last: LastPlan | None = None
        self._fault_since_ns: int | None = None
        self._last_fallback: Source | None = None
        """Label of the newest plan of the fault that lasts, of those with known motion."""
        self._plan_ids = itertools.count(first_plan_id)
        self._overtaken = 0
        """Rises with each fallback and reset: a plan that began before is no longer the newest."""

    def use(self, backend: Backend) -> None:
        """Plan with another model from the next cycle on; not while `plan` runs."""
        self.backend = backend
        self._features = FeatureBuilder(backend.card.features, self.config.vehicle)

    def plan(self, planner_input: PlannerInput) -> PlannerOutput:
        """Run one cycle; never raises on bad input or a failing backend.

        Args:
            planner_input: what the synchronizer matched for one anchor stamp.

        Returns:
            A plan labelled DIFFUSION, or what `fallback` gives with the reason.  When another
            thread asked for a fallback or a reset meanwhile (the backend hung), the plan comes too
            late: it is returned and not kept as the last one.
        """
        clock = StageClock()
        began = self._overtaken
        try:
            choice = self._choose(planner_input, clock)
        except Exception as error:
            faults, reason = _explain(error)
            output = self._fall_back(planner_input, faults, reason)
            clock.mark("fallback")
            return replace(output, timing_ms=clock.total())
        if choice.states is None:
            output = self._fall_back(planner_input, choice.faults, choice.reason)
            clock.mark("fallback")
            return replace(output, candidates=choice.candidates, timing_ms=clock.total())
        with self._lock:
            if began == self._overtaken:
                self._keep(planner_input, choice.states)
        return replace(self._accept(planner_input, choice), timing_ms=clock.total())

    def fallback(
        self,
        stamp_ns: int,
        ego: EgoState | None,
        reason: str,
        *,
        faults: FaultBit = FaultBit.INPUT_MISSING,
        lidar: LidarSweep | None = None,
        health: tuple[InputHealth, ...] = (),
        may_hold: bool = True,
    ) -> PlannerOutput:
        """Hold the last plan, stop comfortably or brake hard; never calls the network.

        Args:
            stamp_ns: of the newest valid odometry, or an estimate (fault STAMP_ESTIMATED).
            ego: motion at `stamp_ns`, or None when it is not known: then the plan is a
                standstill in base_link.
            reason: a sentence for the status message.
            faults: what is wrong.
            lidar: the newest sweep, if there is one, to judge a held plan by.
            health: what the synchronizer found of each input.
            may_hold: False where no plan will follow this one: it has to end in a standstill.
        """
        with self._lock:
            return self._fallback(stamp_ns, ego, reason, faults, lidar, health, may_hold)

    def _fallback(
        self,
        stamp_ns: int,
        ego: EgoState | None,
        reason: str,
        faults: FaultBit,
        lidar: LidarSweep | None,
        health: tuple[InputHealth, ...],
        may_hold: bool,
    ) -> PlannerOutput:
        self._overtaken += 1
        if ego is not None and (broken := self._localisation_break(ego)):
            faults, reason = faults | FaultBit.DISCONTINUOUS, f"{reason}; {broken}"
        # An estimated stamp may lie after those that follow; time must not run out backwards.
        since_ns = stamp_ns if self._fault_since_ns is None else self._fault_since_ns
        self._fault_since_ns = min(since_ns, stamp_ns)
        try:
            trajectory = self._safe_plan(stamp_ns, ego, lidar, self._fault_since_ns, may_hold)
        except Exception as error:  # the last line of defence: nothing may leave without a plan
            logger.exception("the fallback failed")
            reason = f"{reason}; the fallback failed too: {error}"
            trajectory = Trajectory(stamp_ns, Source.EMERGENCY_STOP, _standstill())
        if ego is not None:  # else it stood for want of knowledge, not for what stands there
            self._last_fallback = trajectory.source
        return PlannerOutput(
            trajectory=trajectory,
            odom_SE3_ego=np.eye(4) if ego is None else ego.odom_SE3_ego,
            frame_id=self.config.inputs.base_frame if ego is None else ego.frame_id,
            plan_id=next(self._plan_ids),
            state=PlannerState.FALLBACK,
            faults=faults,
            reason=reason,
            health=health,
            seed=self.config.model.seed,
        )

    def reset(self, reason: str) -> None:
        """Forget the last plan: after a clock jump, with a new bag, with a new episode."""
        logger.info("planner reset: %s", reason)
        with self._lock:
            self._overtaken += 1
            self._forget()

    def _forget(self) -> None:
        self._last = None
        self._fault_since_ns = self._last_fallback = None

    def _choose(self, planner_input: PlannerInput, clock: StageClock) -> _Choice:
        _require_sensors(planner_input)
        with self._lock:
            broken = self._localisation_break(planner_input.ego)
        notice = FaultBit.DISCONTINUOUS if broken else FaultBit.NONE
        inputs = self._features.build(planner_input)
        clock.mark("features")
        draws = noise.draw(self.backend.card.noise, self.config.model.seed, planner_input.stamp_ns)
        proposals = self.backend.run(inputs, draws)
        clock.mark("inference")
        states = refine(proposals, planner_input.ego, self.config.refine)
        clock.mark("refine")
        last_states = self._last_states(planner_input)
        context = safety.SafetyContext(
            vehicle=self.config.vehicle,
            config=self.config.safety,
            ego=planner_input.ego,
            lidar=planner_input.lidar,
            last_plan=last_states,
        )
        bits = safety.check(states, context)
        order = selection.rank(proposals, planner_input.ego, last_states)
        passed = [k for k in order[: self.config.selection.max_tries] if bits[k] == 0]
        clock.mark("safety")
        candidates = Candidates(
            states=states,
            scores_raw=proposals.scores,
            scores=_softmax(proposals.scores),
            reject_bits=bits,
            order=order,
            selected=int(passed[0]) if passed else -1,
        )
        if passed:
            return _Choice(candidates, states[passed[0]], notice, broken)
        tried = bits[order[: self.config.selection.max_tries]]
        why = "; ".join(filter(None, [_why_none(tried), broken]))
        return _Choice(candidates, None, notice | _fault_of(tried), why)

    def _keep(self, planner_input: PlannerInput, states: NDArray[np.float64]) -> None:
        """Take a plan for the last valid one; a fault that lasted is over."""
        stamp_ns, ego = planner_input.stamp_ns, planner_input.ego
        trajectory = Trajectory(stamp_ns, Source.DIFFUSION, states)
        self._last = LastPlan(stamp_ns, ego.odom_SE3_ego, trajectory, ego.frame_id)
        self._fault_since_ns = self._last_fallback = None

    def _accept(self, planner_input: PlannerInput, choice: _Choice) -> PlannerOutput:
        assert choice.states is not None
        trajectory = Trajectory(planner_input.stamp_ns, Source.DIFFUSION, choice.states)
        ego = planner_input.ego
        faults = planner_input.faults | choice.faults
        suffering = [h.reason or h.name for h in planner_input.health if h.fault]
        return PlannerOutput(
            trajectory=trajectory,
            odom_SE3_ego=ego.odom_SE3_ego,
            frame_id=ego.frame_id,
            plan_id=next(self._plan_ids),
            state=PlannerState.DEGRADED if faults else PlannerState.NOMINAL,
            faults=faults,
            reason="; ".join(filter(None, [*suffering, choice.reason])),
            candidates=choice.candidates,
            health=planner_input.health,
            seed=self.config.model.seed,
        )

    def _fall_back(
        self, planner_input: PlannerInput, faults: FaultBit, reason: str
    ) -> PlannerOutput:
        return self.fallback(
            planner_input.stamp_ns,
            planner_input.ego,
            reason,
            faults=planner_input.faults | faults,
            lidar=planner_input.lidar,
            health=planner_input.health,
        )

    def _safe_plan(
        self,
        stamp_ns: int,
        ego: EgoState | None,
        lidar: LidarSweep | None,
        since_ns: int,
        may_hold: bool,
    ) -> Trajectory:
        """Return the fallback's plan, of finite numbers."""
        trajectory = fallback.plan(
            stamp_ns,
            ego,
            self._last,
            lidar,
            self.config,
            since_ns,
            self._last_fallback,
            may_hold=may_hold,
        )
        if not np.isfinite(trajectory.states).all():
            raise ArithmeticError(f"its {trajectory.source.name} plan is not finite")
        return trajectory

    def _localisation_break(self, ego: EgoState) -> str:
        """Forget a last plan that the odometry no longer leads on from; return why, or "".

        Its place was told in another frame, or the vehicle stands where it cannot have driven to.
        Without this, a localisation that fails would look like a recovery after a fallback.
        """
        last = self._last
        if last is None:
            return ""
        if ego.frame_id != last.frame_id:
            broken = f"odometry frame changed from {last.frame_id} to {ego.frame_id}"
        else:
            elapsed_s = (ego.stamp_ns - last.stamp_ns) * 1e-9
            with np.errstate(over="ignore"):  # too far for a number is a jump as well
                offset = ego.odom_SE3_ego[:2, 3] - last.odom_SE3_ego[:2, 3]
                moved_m = float(np.hypot(*offset))
            speed = max(abs(ego.speed_mps), abs(last.trajectory.states[0, StateIndex.SPEED]))
            reach_m = (speed + self.config.vehicle.max_deceleration_mps2 * elapsed_s) * elapsed_s
            if not 0.0 <= elapsed_s <= _JUMP_SPAN_S or moved_m <= reach_m + _JUMP_SLACK_M:
                return ""
            broken = f"odometry jumped {moved_m:.1f} m in {elapsed_s:.2f} s at {speed:.1f} m/s"
        logger.warning("%s", broken)
        self._forget()
        return broken

    def _last_states(self, planner_input: PlannerInput) -> FloatArray | None:
        """Return the last plan's states [N, 7] from now on, in base_link at the new stamp."""
        last = self._last
        if last is None:
            return None
        return fallback.carry(last, planner_input.stamp_ns, planner_input.ego.odom_SE3_ego)


def _standstill() -> NDArray[np.float64]:
    """Return the states [41, 7] of a vehicle that stays where it is."""
    return np.zeros((PLAN_POINTS, len(StateIndex)))


def _require_sensors(planner_input: PlannerInput) -> None:
    """Refuse a cycle in which the planner would be blind or unguarded.

    A missing camera among several is a degraded cycle, its mask tells the network.  Without LiDAR
    the collision rule has nothing to judge by, and without any camera the network is blind.
    """
    if planner_input.lidar is None:
        raise MissingInputError(_absent(planner_input, "lidar"))
    if not planner_input.cameras:
        raise MissingInputError(_absent(planner_input, "camera"))


def _absent(planner_input: PlannerInput, kind: str) -> str:
    reasons = [h.reason for h in planner_input.health if h.fault and h.reason]
    return "; ".join([f"no {kind} input in this cycle", *reasons])


def _explain(error: Exception) -> tuple[FaultBit, str]:
    """Name the fault bits and the sentence of an exception; an unknown one is logged whole."""
    if isinstance(error, NonFiniteInputError):
        return FaultBit.NONFINITE_IN, str(error)
    if isinstance(error, (BackendError, ContractError)):
        return FaultBit.MODEL, str(error)
    if isinstance(error, MissingInputError):
        return FaultBit.INPUT_MISSING, str(error)
    if isinstance(error, DiffPlannerError):
        return FaultBit.INPUT_MISSING, str(error)
    logger.exception("unexpected failure while planning")
    return FaultBit.MODEL, f"unexpected {type(error).__name__}: {error}"


def _softmax(logits: FloatArray) -> FloatArray:
    """Return scores 0..1 [M]; zeros where a logit is not finite."""
    finite = np.isfinite(logits)
    shifted = np.where(finite, logits, -np.inf).astype(np.float64)
    weights = np.exp(shifted - shifted[finite].max()) if finite.any() else np.zeros(len(logits))
    return (weights / max(weights.sum(), 1e-12)).astype(np.float32)


def _fault_of(tried_bits: NDArray[np.uint32]) -> FaultBit:
    """Name the fault of a cycle whose tried candidates [K] were all refused."""
    if (tried_bits & RejectBit.NONFINITE).all():
        return FaultBit.NONFINITE_OUT
    if (tried_bits & RejectBit.DISCONTINUITY).all():
        return FaultBit.INFEASIBLE | FaultBit.DISCONTINUOUS
    return FaultBit.INFEASIBLE


def _why_none(tried_bits: NDArray[np.uint32]) -> str:
    """Say how many of the tried candidates [K] each rule refused."""
    counts = {bit.name: int(((tried_bits & bit) != 0).sum()) for bit in RejectBit}
    named = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
    return f"none of the {len(tried_bits)} best candidates passed: {named}"
