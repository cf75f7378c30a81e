"""One calibration object per camera for as long as nothing changes: caches hang on it."""

from __future__ import annotations

from diff_planner.data.calibration import camera_calibration, info_values
from diff_planner.data.input_health import Unusable
from diff_planner.errors import InputError, NonFiniteInputError
from diff_planner.geometry import Array
from diff_planner.types import CameraCalibration, FaultBit, Message


class Calibrations:
    """The newest calibration of each camera."""

    def __init__(self) -> None:
        """Begin without any."""
        self._known: dict[str, tuple[object, CameraCalibration]] = {}

    def take(
        self,
        name: str,
        info: Message,
        image_hw: tuple[int, ...],
        ego_SE3_camera: Array,
        *,
        is_rectified: bool,
    ) -> CameraCalibration:
        """Return the camera's calibration, the same object as long as nothing changes.

        Args:
            name: of the camera.
            info: sensor_msgs/CameraInfo.
            image_hw: height and width of its picture, px.
            ego_SE3_camera: [4, 4] optical frame to base_link.
            is_rectified: the picture is free of distortion already.

        Raises:
            Unusable: it cannot be used; says why.
        """
        hw = (int(image_hw[0]), int(image_hw[1]))
        try:
            key = (hw, ego_SE3_camera.tobytes(), info_values(info))
            known = self._known.get(name)
            if known is None or known[0] != key:
                made = camera_calibration(info, hw, ego_SE3_camera, is_rectified=is_rectified)
                known = self._known[name] = (key, made)
        except NonFiniteInputError as error:
            raise Unusable(
                FaultBit.NONFINITE_IN | FaultBit.CAMERA_INFO, f"{name}: {error}"
            ) from None
        except InputError as error:
            raise Unusable(FaultBit.CAMERA_INFO, f"{name}: {error}") from None
        except (AttributeError, TypeError, ValueError) as error:
            raise Unusable(
                FaultBit.CAMERA_INFO,
                f"{name}: expected sensor_msgs/CameraInfo, got {type(info).__name__} ({error})",
            ) from None
        return known[1]
