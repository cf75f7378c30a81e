"""ROS messages for tests, as rosbags makes them; each fills in what the test is not about."""

import cv2
import numpy as np

from diff_planner.data.typestore import make_message

STAMP_NS = 1_700_000_000_000_000_000


def make_header(stamp_ns=STAMP_NS, frame_id="base_link"):
    sec, nanosec = divmod(stamp_ns, 1_000_000_000)
    stamp = make_message("builtin_interfaces/msg/Time", sec=sec, nanosec=nanosec)
    return make_message("std_msgs/msg/Header", stamp=stamp, frame_id=frame_id)


def make_vector(x=0.0, y=0.0, z=0.0):
    return make_message("geometry_msgs/msg/Vector3", x=x, y=y, z=z)


def make_quaternion(x=0.0, y=0.0, z=0.0, w=1.0):
    return make_message("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w)


def make_transforms(*entries):
    """A TFMessage of (parent, child, (x, y, z), (qx, qy, qz, qw))."""
    transforms = [
        make_message(
            "geometry_msgs/msg/TransformStamped",
            header=make_header(frame_id=parent),
            child_frame_id=child,
            transform=make_message(
                "geometry_msgs/msg/Transform",
                translation=make_vector(*position),
                rotation=make_quaternion(*quaternion),
            ),
        )
        for parent, child, position, quaternion in entries
    ]
    return make_message("tf2_msgs/msg/TFMessage", transforms=transforms)


def make_odometry(
    stamp_ns=STAMP_NS,
    *,
    position=(0.0, 0.0, 0.0),
    quaternion=(0.0, 0.0, 0.0, 1.0),
    vx=0.0,
    vy=0.0,
    yaw_rate=0.0,
    frame_id="odom",
    child_frame_id="base_link",
):
    pose = make_message(
        "geometry_msgs/msg/Pose",
        position=make_message(
            "geometry_msgs/msg/Point", x=position[0], y=position[1], z=position[2]
        ),
        orientation=make_quaternion(*quaternion),
    )
    twist = make_message(
        "geometry_msgs/msg/Twist",
        linear=make_vector(vx, vy),
        angular=make_vector(0.0, 0.0, yaw_rate),
    )
    covariance = np.zeros(36)
    return make_message(
        "nav_msgs/msg/Odometry",
        header=make_header(stamp_ns, frame_id),
        child_frame_id=child_frame_id,
        pose=make_message("geometry_msgs/msg/PoseWithCovariance", pose=pose, covariance=covariance),
        twist=make_message(
            "geometry_msgs/msg/TwistWithCovariance", twist=twist, covariance=covariance
        ),
    )


def make_acceleration(stamp_ns=STAMP_NS, ax=0.0, ay=0.0, frame_id="base_link"):
    accel = make_message(
        "geometry_msgs/msg/Accel", linear=make_vector(ax, ay), angular=make_vector()
    )
    with_covariance = make_message(
        "geometry_msgs/msg/AccelWithCovariance", accel=accel, covariance=np.zeros(36)
    )
    return make_message(
        "geometry_msgs/msg/AccelWithCovarianceStamped",
        header=make_header(stamp_ns, frame_id),
        accel=with_covariance,
    )


def make_image(pixels, encoding, *, step=None, stamp_ns=STAMP_NS, frame_id="camera"):
    """An Image of the bytes of `pixels` [H, W, ...], rows padded to `step` bytes."""
    height, width = pixels.shape[:2]
    rows = np.ascontiguousarray(pixels).reshape(height, -1)
    step = rows.shape[1] if step is None else step
    padded = np.full((height, step), 77, dtype=np.uint8)
    padded[:, : rows.shape[1]] = rows
    return make_message(
        "sensor_msgs/msg/Image",
        header=make_header(stamp_ns, frame_id),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=step,
        data=padded.reshape(-1),
    )


def make_compressed(rgb, *, kind="png", text=None, stamp_ns=STAMP_NS, frame_id="camera"):
    """A CompressedImage of an RGB picture; `text` is the format field."""
    _, content = cv2.imencode(f".{kind}", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    return make_message(
        "sensor_msgs/msg/CompressedImage",
        header=make_header(stamp_ns, frame_id),
        format=kind if text is None else text,
        data=content.reshape(-1),
    )


def make_info(
    *,
    hw=(120, 200),
    k=(100.0, 0.0, 99.5, 0.0, 100.0, 59.5, 0.0, 0.0, 1.0),
    d=(),
    model="plumb_bob",
    p=(0.0,) * 12,
    r=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
    binning=(0, 0),
    roi=(0, 0, 0, 0),
    stamp_ns=STAMP_NS,
    frame_id="camera",
):
    """A CameraInfo; `roi` is x, y, width, height."""
    return make_message(
        "sensor_msgs/msg/CameraInfo",
        header=make_header(stamp_ns, frame_id),
        height=hw[0],
        width=hw[1],
        distortion_model=model,
        d=np.array(d, dtype=np.float64),
        k=np.array(k, dtype=np.float64),
        r=np.array(r, dtype=np.float64),
        p=np.array(p, dtype=np.float64),
        binning_x=binning[0],
        binning_y=binning[1],
        roi=make_message(
            "sensor_msgs/msg/RegionOfInterest",
            x_offset=roi[0],
            y_offset=roi[1],
            width=roi[2],
            height=roi[3],
            do_rectify=False,
        ),
    )


def make_cloud(
    points,
    *,
    height=1,
    fields=("x", "y", "z"),
    offsets=None,
    kind="f4",
    order="<",
    point_step=None,
    row_padding=0,
    stamp_ns=STAMP_NS,
    frame_id="lidar",
):
    """A PointCloud2 of points [N, 3]; N is a multiple of `height`."""
    points = np.asarray(points, dtype=np.float64)
    size = int(kind[1])
    offsets = [size * index for index in range(len(fields))] if offsets is None else offsets
    point_step = max(offsets) + size if point_step is None else point_step
    width = len(points) // height
    layout = np.dtype(
        {
            "names": list(fields),
            "formats": [order + kind] * len(fields),
            "offsets": list(offsets),
            "itemsize": point_step,
        }
    )
    structured = np.zeros(len(points), dtype=layout)
    for column, name in enumerate(fields):
        structured[name] = points[:, column]
    rows = structured.view(np.uint8).reshape(height, width * point_step)
    rows = np.pad(rows, ((0, 0), (0, row_padding)))
    datatype = {"f4": 7, "f8": 8, "i4": 5}[kind]
    return make_message(
        "sensor_msgs/msg/PointCloud2",
        header=make_header(stamp_ns, frame_id),
        height=height,
        width=width,
        fields=[
            make_message(
                "sensor_msgs/msg/PointField", name=name, offset=offset, datatype=datatype, count=1
            )
            for name, offset in zip(fields, offsets, strict=True)
        ],
        is_bigendian=order == ">",
        point_step=point_step,
        row_step=width * point_step + row_padding,
        data=rows.reshape(-1),
        is_dense=False,
    )


def make_command(stamp_ns=STAMP_NS, command=3, valid_for_s=0.0):
    nan = float("nan")
    return make_message(
        "diff_planner_msgs/msg/NavCommand",
        header=make_header(stamp_ns, ""),
        command=command,
        distance_m=nan,
        target_speed_mps=nan,
        speed_limit_mps=nan,
        confidence=1.0,
        valid_for_s=valid_for_s,
    )


def make_route(points, *, stamp_ns=STAMP_NS, frame_id="odom", is_loop=False):
    """A Route along points [P, 2]."""
    points = np.asarray(points, dtype=np.float64)
    return make_message(
        "diff_planner_msgs/msg/Route",
        header=make_header(stamp_ns, frame_id),
        uuid=make_message("unique_identifier_msgs/msg/UUID", uuid=np.zeros(16, dtype=np.uint8)),
        x_m=points[:, 0].copy(),
        y_m=points[:, 1].copy(),
        speed_limit_mps=np.zeros(0, dtype=np.float32),
        goal=make_message(
            "geometry_msgs/msg/Pose",
            position=make_message("geometry_msgs/msg/Point", x=0.0, y=0.0, z=0.0),
            orientation=make_quaternion(),
        ),
        is_loop=is_loop,
    )
