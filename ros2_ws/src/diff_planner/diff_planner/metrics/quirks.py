"""Places where NAVSIM's published code differs from what its papers describe.

Scores that are to be compared with published ones need them all; they are switches so that their
effect can be measured.  Another oddity, an arccos without clipping that lets rounding decide
whether a car straight ahead counts, is not reproduced.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quirks:
    """Which of the published oddities are followed."""

    is_acceleration_penalised: bool = True
    """The velocity profile is smoothed by small accelerations: NAVSIM's difference matrix is
    overwritten while it is being filled.  False: by small jerks, as nuPlan means it.  It moves the
    end of a trajectory by up to 5 cm."""
    is_centre_acceleration_inverted: bool = True
    """EPDMS comfort takes the acceleration at the vehicle's centre as a_x + r (w^2 + dw/dt), a_y.
    False: as rigid-body kinematics gives it, a_x - r w^2 and a_y + r dw/dt."""
    is_past_yaw_rate_dropped: bool = True
    """EPDMS history comfort takes the past's yaw rate as 0, because nuPlan's interpolation of ego
    states does not carry it.  False: the recorded yaw rate."""


PUBLISHED = Quirks()
