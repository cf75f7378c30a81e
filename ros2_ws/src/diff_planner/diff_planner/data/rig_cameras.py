"""Which image topics are cameras, where they look, and what they are called.

Names carry meaning: left, front and right form the triple that the published models know.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from diff_planner.data import survey as bag
from diff_planner.data.survey import BagSurvey, TopicSurvey

MAX_CAMERAS = 6
FRONT_DEG = 20.0
SIDE_DEG = (25.0, 100.0)
"""Directions of a triple's cameras.  Real rigs: nuScenes +-55, nuPlan +-55, Waymo +-45."""
_SIDE_AIM_DEG = 55.0


@dataclass(frozen=True)
class FoundCamera:
    """An image topic with its calibration."""

    image: TopicSurvey
    info: TopicSurvey
    azimuth_deg: float
    """Where the optical axis points in base_link, left positive; NaN without a transform."""
    fov_deg: float
    """Horizontal field of view from K; NaN when K says nothing."""


def find_cameras(found: BagSurvey, base_frame: str) -> list[FoundCamera]:
    """Return the image topics that have a CameraInfo, one per camera, by topic.

    Of several image topics of a camera a rectified one is taken, then a compressed one.
    """
    by_info: dict[str, list[TopicSurvey]] = {}
    for image in pictures(found):
        info_name = info_topic(image.topic, found)
        if info_name is not None:
            by_info.setdefault(info_name, []).append(image)
    cameras = []
    for name, images in by_info.items():
        image = max(images, key=_image_preference)
        info = found.topics[name]
        frame = image.frame_id or info.frame_id
        cameras.append(
            FoundCamera(image, info, azimuth_deg(found, base_frame, frame), fov_deg(info))
        )
    return sorted(cameras, key=lambda camera: camera.image.topic)


def pictures(found: BagSurvey) -> list[TopicSurvey]:
    """Return the image topics; depth images carry the same type and are left out by name."""
    return [t for t in found.of_type(*bag.IMAGES) if "depth" not in t.topic.lower()]


def is_rectified(image_topic: str) -> bool:
    """Return whether pictures are undistorted already, as the topic's name tells (image_proc)."""
    return "image_rect" in image_topic


def info_topic(image_topic: str, found: BagSurvey) -> str | None:
    """Return the CameraInfo topic of an image topic, None when it has none with messages."""
    for name in info_names(image_topic):
        topic = found.topics.get(name)
        if topic is not None and topic.msgtype == bag.CAMERA_INFO and len(topic.stamps_ns):
            return name
    return None


def info_names(image_topic: str) -> tuple[str, str]:
    """Return where the CameraInfo of an image topic is looked for (image_transport's rule)."""
    base = image_topic.removesuffix("/compressed")
    return f"{base.rpartition('/')[0]}/camera_info", f"{base}/camera_info"


def name_cameras(cameras: list[FoundCamera]) -> dict[str, FoundCamera]:
    """Name cameras: left, front, right where three point so, else by their topic's camera part.

    A triple leaves the others out.  Without one, cameras that look backward are left out when
    any looks forward, and at most six stay, the most forward ones.
    """
    triple = _triple(cameras)
    if triple:
        return triple
    ahead = [c for c in cameras if not abs(c.azimuth_deg) > SIDE_DEG[1]]  # NaN stays in
    chosen = sorted(ahead or cameras, key=lambda c: (_off_axis_deg(c), c.image.topic))[:MAX_CAMERAS]
    chosen.sort(key=lambda camera: camera.image.topic)
    names = _short_names([camera.image.topic for camera in chosen])
    if {"left", "front", "right"} <= set(names) and not any(
        math.isnan(camera.azimuth_deg) for camera in chosen
    ):
        # They do not point as these names promise to the stitching of the triple.
        names = [f"camera_{name}" for name in names]
    return dict(zip(names, chosen, strict=True))


def front_of(cameras: Mapping[str, FoundCamera]) -> str:
    """Return the name of the camera that looks most forward."""
    return min(cameras, key=lambda name: (_off_axis_deg(cameras[name]), name))


def azimuth_deg(found: BagSurvey, base_frame: str, frame: str) -> float:
    """Return where an optical frame's axis points in base_link; NaN without a transform."""
    base_SE3_optical = found.transform(base_frame, frame)
    if base_SE3_optical is None:
        return math.nan
    axis = base_SE3_optical[:3, 2]
    return math.degrees(math.atan2(axis[1], axis[0]))


def fov_deg(info: TopicSurvey) -> float:
    """Return the horizontal field of view of a CameraInfo topic, NaN when it is not calibrated."""
    if info.first is None or not float(info.first.k[0]) > 0.0:
        return math.nan
    return math.degrees(2.0 * math.atan(0.5 * info.first.width / float(info.first.k[0])))


def _triple(cameras: list[FoundCamera]) -> dict[str, FoundCamera]:
    """Return the cameras left, front and right, or nothing where one is missing."""

    def nearest(candidates: Iterable[FoundCamera], aim_deg: float) -> FoundCamera | None:
        # Of a wide and a tele camera with the same axis the wide one shows the junction.
        return min(
            candidates,
            key=lambda c: (round(abs(c.azimuth_deg - aim_deg) / 5.0), -np.nan_to_num(c.fov_deg)),
            default=None,
        )

    low, high = SIDE_DEG
    found = {
        "left": nearest((c for c in cameras if low <= c.azimuth_deg <= high), _SIDE_AIM_DEG),
        "front": nearest((c for c in cameras if abs(c.azimuth_deg) <= FRONT_DEG), 0.0),
        "right": nearest((c for c in cameras if -high <= c.azimuth_deg <= -low), -_SIDE_AIM_DEG),
    }
    triple = {name: camera for name, camera in found.items() if camera is not None}
    return triple if len(triple) == len(found) else {}


def _off_axis_deg(camera: FoundCamera) -> float:
    return 180.0 if math.isnan(camera.azimuth_deg) else abs(camera.azimuth_deg)


def _image_preference(image: TopicSurvey) -> tuple[bool, bool, str]:
    return is_rectified(image.topic), image.msgtype == bag.COMPRESSED_IMAGE, image.topic


def _short_names(topics: list[str]) -> list[str]:
    """Return the camera part of each topic, with more of the path where two are alike."""
    paths = [info_names(topic)[0].split("/")[1:-1] or ["camera"] for topic in topics]
    for length in range(1, max(map(len, paths), default=0) + 1):
        names = ["_".join(path[-length:]) for path in paths]
        if len(set(names)) == len(names) and "lidar" not in names:
            return names
    return [topic.strip("/").replace("/", "_") for topic in topics]
