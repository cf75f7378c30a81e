"""Where the sensors sit and how the cameras look: /tf_static and CameraInfo to core values.

How points fall on a picture is camera_geometry's; this file only reads messages.  A transform or
a calibration that is not there is an error, never identity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from diff_planner.errors import InputError, MissingInputError, NonFiniteInputError
from diff_planner.geometry import Array, inverse_se3, rotation_from_quaternion, se3
from diff_planner.types import CameraCalibration, Message

_MODELS = {
    "": "plumb_bob",  # a driver of an undistorted picture may leave the name empty
    "none": "plumb_bob",
    "plumb_bob": "plumb_bob",
    "rational_polynomial": "rational_polynomial",
    "equidistant": "equidistant",
    "fisheye": "equidistant",
}
"""Names that drivers use, to ours."""
_COUNTS = {"plumb_bob": (4, 5), "rational_polynomial": (4, 5, 8), "equidistant": (4,)}
"""Coefficients that a model may have; sensor_msgs/distortion_models.hpp and OpenCV."""
_ORTHONORMAL_TOLERANCE = 1e-3


class StaticTransforms:
    """The tree of static transforms; messages add to it and later ones win."""

    def __init__(self) -> None:
        """Begin with no frames."""
        self.version = 0
        """Rises when a known transform changes or a new one comes; what was looked up is old."""
        self._parents: dict[str, tuple[str, Array]] = {}
        """Child frame to (parent frame, parent_SE3_child [4, 4])."""
        self._found: dict[tuple[str, str], Array] = {}

    @property
    def frames(self) -> tuple[str, ...]:
        """Known frames, sorted."""
        parents = {parent for parent, _ in self._parents.values()}
        return tuple(sorted(parents | self._parents.keys()))

    def add(self, message: Message) -> tuple[str, ...]:
        """Take the transforms of a message; one that is sent again unchanged changes nothing.

        Returns:
            The child frames whose known transform is now another one.

        Raises:
            NonFiniteInputError: a transform is not finite.
            InputError: a transform has no rotation or leads to itself.  The other transforms of
                the message are taken all the same.
        """
        changed: list[str] = []
        faults: list[InputError] = []
        for transform in message.transforms:
            child = _frame(transform.child_frame_id)
            try:
                entry = (_frame(transform.header.frame_id), _matrix(transform))
                if entry[0] == child:
                    raise InputError(f"static transform of '{child}': its parent is itself")
            except InputError as error:
                faults.append(error)
                continue
            known = self._parents.get(child)
            if known is None or known[0] != entry[0] or not np.array_equal(known[1], entry[1]):
                self._parents[child] = entry
                self._found.clear()
                self.version += 1
                if known is not None:
                    changed.append(child)
        if faults:
            raise type(faults[0])("; ".join(str(fault) for fault in faults))
        return tuple(changed)

    def lookup(self, dst: str, src: str) -> Array:
        """Return dst_SE3_src [4, 4], along the tree in both directions.

        Raises:
            MissingInputError: the two frames do not hang together; the text names the known ones.
            InputError: the transforms form a ring.
        """
        key = (_frame(dst), _frame(src))
        if key not in self._found:
            self._found[key] = self._join(*key)
            self._found[key].flags.writeable = False  # it is handed out again
        return self._found[key]

    def _join(self, dst: str, src: str) -> Array:
        up_from_dst, up_from_src = self._chain(dst), self._chain(src)
        for ancestor, ancestor_SE3_src in up_from_src.items():
            if ancestor in up_from_dst:
                return inverse_se3(up_from_dst[ancestor]) @ ancestor_SE3_src
        known = ", ".join(self.frames) or "none"
        raise MissingInputError(
            f"no static transform joins '{dst}' and '{src}'; known frames: {known}"
        )

    def _chain(self, frame: str) -> dict[str, Array]:
        """Return ancestor_SE3_frame for the frame itself and each ancestor, nearest first."""
        chain = {frame: np.eye(4)}
        here = frame
        while here in self._parents:
            parent, parent_SE3_here = self._parents[here]
            if parent in chain:
                raise InputError(f"static transforms form a ring: {' -> '.join(chain)} -> {parent}")
            chain[parent] = parent_SE3_here @ chain[here]
            here = parent
        return chain


def camera_calibration(
    info: Message,
    image_hw: tuple[int, int],
    ego_SE3_camera: Array,
    *,
    is_rectified: bool = False,
) -> CameraCalibration:
    """Make the calibration of a camera for pictures of the size that really come.

    Args:
        info: the camera's CameraInfo.
        image_hw: height and width of its pictures.  Another size than CameraInfo tells (a resized
            topic) scales the intrinsics; another shape is an error.
        ego_SE3_camera: [4, 4] optical frame to base_link.
        is_rectified: the picture is already undistorted (topic image_rect): then P and R of
            CameraInfo hold, K if P is not set, and there is no distortion.

    Raises:
        MissingInputError: the camera is not calibrated (K or the size is zero).
        NonFiniteInputError: a number of CameraInfo is NaN or infinite.
        InputError: a distortion model that is not known, a wrong number of coefficients, pictures
            of another shape, or a stereo projection that is not of the pair's first camera.
    """
    frame_id = _frame(info.header.frame_id)
    camera = f"camera '{frame_id}'"
    for name in ("k", "d", "p", "r"):
        if not np.isfinite(np.asarray(getattr(info, name), dtype=np.float64)).all():
            raise NonFiniteInputError(f"{camera}: '{name}' of CameraInfo is not finite")
    intrinsics = np.array(info.k, dtype=np.float64).reshape(3, 3)
    model, distortion = "none", np.zeros(0)
    camera_SE3_ego = inverse_se3(ego_SE3_camera)
    if is_rectified:
        intrinsics, rotation = _rectified(camera, info, intrinsics)
        camera_SE3_ego = se3(rotation, np.zeros(3)) @ camera_SE3_ego
    else:
        model, distortion = _distortion(camera, info)
    _check_filled_in(camera, info, intrinsics)
    height, width = image_hw
    return CameraCalibration(
        frame_id=frame_id,
        width_px=width,
        height_px=height,
        intrinsics=_fitted(camera, intrinsics, info, image_hw),
        distortion_model=model,
        distortion=distortion,
        camera_SE3_ego=camera_SE3_ego,
    )


def _check_filled_in(camera: str, info: Message, intrinsics: Array) -> None:
    if intrinsics[0, 0] == 0.0 or not info.width or not info.height:
        raise MissingInputError(f"{camera}: not calibrated, CameraInfo is not filled in")
    if intrinsics[0, 0] < 0.0 or intrinsics[1, 1] <= 0.0:
        raise InputError(
            f"{camera}: expected focal lengths > 0, got {intrinsics[0, 0]:g}, {intrinsics[1, 1]:g}"
        )


def _frame(name: str) -> str:
    """Return a frame name as tf2 wants it, without a leading slash."""
    return str(name).lstrip("/")


def _matrix(transform: Message) -> Array:
    """Return parent_SE3_child [4, 4]."""
    t, q = transform.transform.translation, transform.transform.rotation
    child = transform.child_frame_id
    if not all(math.isfinite(v) for v in (t.x, t.y, t.z, q.x, q.y, q.z, q.w)):
        raise NonFiniteInputError(f"static transform of '{child}' is not finite")
    try:
        return se3(rotation_from_quaternion(q.x, q.y, q.z, q.w), [t.x, t.y, t.z])
    except InputError as error:
        raise InputError(f"static transform of '{child}': {error}") from None


def _rectified(camera: str, info: Message, intrinsics: Array) -> tuple[Array, Array]:
    """Return intrinsics [3, 3] and rotation [3, 3] of a rectified picture."""
    projection = np.array(info.p, dtype=np.float64).reshape(3, 4)
    rotation = np.array(info.r, dtype=np.float64).reshape(3, 3)
    if projection[0, 0] == 0.0:
        return intrinsics, np.eye(3)
    if projection[:, 3].any():
        # P then maps points of the pair's first camera, and no frame here is known to be that.
        raise InputError(
            f"{camera}: P of CameraInfo is of the second camera of a stereo pair (Tx = "
            f"{projection[0, 3]:g}); use the first one, or the picture that is not rectified"
        )
    if not rotation.any():
        return projection[:, :3], np.eye(3)
    if np.abs(rotation @ rotation.T - np.eye(3)).max() > _ORTHONORMAL_TOLERANCE:
        raise InputError(f"{camera}: expected R of CameraInfo to be a rotation, got {info.r}")
    return projection[:, :3], rotation


def _distortion(camera: str, info: Message) -> tuple[str, Array]:
    """Return the model's name and its coefficients."""
    name = str(info.distortion_model).lower()
    if name not in _MODELS:
        raise InputError(
            f"{camera}: expected a distortion model of {sorted(filter(None, _MODELS))}, "
            f"got '{info.distortion_model}'"
        )
    model, coefficients = _MODELS[name], np.array(info.d, dtype=np.float64)
    if model == "equidistant" and not len(coefficients):
        return model, np.zeros(4)  # a fisheye without correction is a fisheye still
    if model != "equidistant" and not coefficients.any():
        return "none", np.zeros(0)
    counts = _COUNTS[model]
    if coefficients[counts[-1] :].any() or len(coefficients) < counts[0]:
        raise InputError(
            f"{camera}: expected {_either(counts)} coefficients for '{name}', got "
            f"{len(coefficients)}"
        )
    kept = coefficients[: counts[-1]]  # drivers pad with zeros
    return model, np.pad(kept, (0, counts[-1] - len(kept)))


def _either(counts: Sequence[int]) -> str:
    return " or ".join(str(count) for count in counts)


def _fitted(
    camera: str,
    intrinsics: Array,
    info: Message,
    image_hw: tuple[int, int],
) -> Array:
    """Return the intrinsics [3, 3] for the pictures that come: cropped, binned, resized.

    CameraInfo gives K for the whole sensor; `roi` cuts out of it, then binning shrinks (REP-104).
    """
    roi = info.roi
    width = float(roi.width or info.width)
    height = float(roi.height or info.height)
    binned_w = width / max(int(info.binning_x), 1)
    binned_h = height / max(int(info.binning_y), 1)
    got_h, got_w = image_hw
    # A resize rounds to whole pixels: one side may be off by one.
    if min(abs(got_w - got_h * binned_w / binned_h), abs(got_h - got_w * binned_h / binned_w)) > 1:
        raise InputError(
            f"{camera}: CameraInfo is for {binned_w:g} x {binned_h:g} px, got a picture of another "
            f"shape: {got_w} x {got_h} px"
        )
    fitted = intrinsics.copy()
    fitted[:2, 2] -= [roi.x_offset, roi.y_offset]
    scale = np.array([got_w / width, got_h / height])
    # Pixel centres are at whole numbers, so the picture's corner is at -0.5.
    fitted[:2, :2] *= scale[:, None]
    fitted[:2, 2] = (fitted[:2, 2] + 0.5) * scale - 0.5
    return fitted


def info_values(info: Message) -> tuple[object, ...]:
    """Return all of a CameraInfo but its stamp, as something that can be compared."""
    roi = info.roi
    arrays = tuple(
        np.asarray(a, dtype=np.float64).tobytes() for a in (info.k, info.d, info.p, info.r)
    )
    crop = (roi.x_offset, roi.y_offset, roi.width, roi.height, info.binning_x, info.binning_y)
    return (*arrays, info.width, info.height, info.distortion_model, info.header.frame_id, *crop)
