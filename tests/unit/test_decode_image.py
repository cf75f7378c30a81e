"""Images to RGB: every encoding keeps its colours, every other one is refused."""

import array
import struct
from types import SimpleNamespace
from zlib import compress, crc32

import cv2
import numpy as np
import pytest

from diff_planner.data import decode
from diff_planner.errors import EncodingError
from message_factories import make_compressed, make_image

RED, GREEN, BLUE = (200, 30, 20), (10, 180, 40), (20, 30, 210)


def smooth_picture(hw=(32, 48)):
    """Colour gradients: what demosaicing and chroma subsampling keep nearly unchanged."""
    y, x = np.mgrid[: hw[0], : hw[1]]
    planes = [60 + 2 * x, 40 + 3 * y, 220 - 2 * x - y]
    return np.stack(planes, axis=-1).astype(np.uint8)


def mosaic(rgb, pattern):
    """The single-colour pixels [H, W] of a sensor whose first 2 x 2 pixels are `pattern`."""
    plane = {"r": 0, "g": 1, "b": 2}
    raw = np.empty(rgb.shape[:2], dtype=np.uint8)
    for k, colour in enumerate(pattern):
        rows, columns = slice(k // 2, None, 2), slice(k % 2, None, 2)
        raw[rows, columns] = rgb[rows, columns, plane[colour]]
    return raw


def to_yuv422(rgb, order):
    """Pack to 4:2:2 by BT.601 (video range), as the ROS encodings mean it."""
    r, g, b = np.moveaxis(rgb.astype(np.float64), -1, 0)
    y = 16 + 0.257 * r + 0.504 * g + 0.098 * b
    u = 128 - 0.148 * r - 0.291 * g + 0.439 * b
    v = 128 + 0.439 * r - 0.368 * g - 0.071 * b
    chroma = np.where(np.arange(rgb.shape[1]) % 2 == 0, u, np.roll(v, 1, axis=1))
    pair = (chroma, y) if order == "uyvy" else (y, chroma)
    return np.clip(np.round(np.stack(pair, axis=-1)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize(
    ("encoding", "order"),
    [("rgb8", [0, 1, 2]), ("bgr8", [2, 1, 0]), ("rgba8", [0, 1, 2, 0]), ("bgra8", [2, 1, 0, 0])],
)
def test_colour_images_come_out_as_rgb_whatever_their_row_padding(encoding, order, padding):
    rgb = smooth_picture()
    packed = rgb[..., order]
    message = make_image(packed, encoding, step=packed.shape[1] * packed.shape[2] + padding)
    np.testing.assert_array_equal(decode.decode_image(message), rgb)


def test_mono_images_come_out_grey():
    grey = smooth_picture()[..., 0]
    np.testing.assert_array_equal(
        decode.decode_image(make_image(grey, "mono8", step=50)), np.repeat(grey[..., None], 3, -1)
    )


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_images_keep_their_colours(pattern):
    # OpenCV's older names of these patterns are shifted by a row: a swap would exchange red and
    # blue, which differ by over 100 here.
    for colour in (RED, GREEN, BLUE):
        rgb = np.full((16, 24, 3), colour, dtype=np.uint8)
        image = decode.decode_image(make_image(mosaic(rgb, pattern), f"bayer_{pattern}8"))
        np.testing.assert_array_equal(image, rgb)
    rgb = smooth_picture()
    image = decode.decode_image(make_image(mosaic(rgb, pattern), f"bayer_{pattern}8"))
    inner = np.abs(image.astype(int) - rgb)[2:-2, 2:-2]
    assert inner.max() <= 3


@pytest.mark.parametrize(
    ("encoding", "order"),
    [("yuv422", "uyvy"), ("uyvy", "uyvy"), ("yuv422_yuy2", "yuyv"), ("yuyv", "yuyv")],
)
def test_yuv422_images_keep_their_colours(encoding, order):
    for rgb in (smooth_picture(), np.full((8, 8, 3), RED, np.uint8)):
        image = decode.decode_image(make_image(to_yuv422(rgb, order), encoding))
        assert np.abs(image.astype(int) - rgb).max() <= 6


@pytest.mark.parametrize(
    ("kind", "text", "tolerance"),
    [
        ("png", "png", 0),
        ("jpg", "jpeg", 12),
        ("jpg", "rgb8; jpeg compressed bgr8", 12),
        ("png", "bgr8; png compressed bgr8", 0),
    ],
)
def test_compressed_images_come_out_as_rgb(kind, text, tolerance):
    rgb = smooth_picture()
    image = decode.decode_image(make_compressed(rgb, kind=kind, text=text))
    assert np.abs(image.astype(int) - rgb).max() <= tolerance


def test_an_image_that_was_compressed_in_rgb_order_is_not_swapped():
    rgb = smooth_picture()
    message = make_compressed(rgb[..., ::-1], text="rgb8; png compressed rgb8")
    np.testing.assert_array_equal(decode.decode_image(message), rgb)


def test_a_rotation_flag_in_a_jpeg_does_not_turn_the_picture():
    rgb = smooth_picture((32, 48))
    _, content = cv2.imencode(".jpg", rgb)
    exif = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06"
    exif += b"\x00\x00\x00\x00\x00\x00\x00"
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    turned = content.tobytes()[:2] + segment + content.tobytes()[2:]
    assert cv2.imdecode(np.frombuffer(turned, np.uint8), cv2.IMREAD_COLOR).shape == (48, 32, 3)
    message = SimpleNamespace(format="jpeg", data=np.frombuffer(turned, np.uint8))
    assert decode.decode_image(message).shape == (32, 48, 3)


@pytest.mark.parametrize("encoding", ["16UC1", "8UC3", "32FC1", "bayer_rggb16", "nv12", ""])
def test_an_unknown_encoding_is_refused_with_the_list_of_known_ones(encoding):
    message = make_image(np.zeros((8, 8, 3), np.uint8), encoding)
    with pytest.raises(EncodingError, match=r"'" + encoding + r"' is not supported.*bgr8.*yuv422"):
        decode.decode_image(message)


@pytest.mark.parametrize("text", ["h264", "16UC1; compressedDepth png", "", "tiff"])
def test_an_unknown_compression_is_refused_by_name(text):
    message = make_compressed(smooth_picture(), text=text)
    with pytest.raises(EncodingError, match=f"expected a jpeg or png image, got format '{text}'"):
        decode.decode_image(message)


@pytest.mark.parametrize("kind", ["png", "jpg"])
@pytest.mark.parametrize("kept", [0, 10, 300])
def test_a_cut_off_compressed_image_is_refused_not_filled_with_grey(kind, kept):
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    message = make_compressed(noise, kind=kind)
    cut = SimpleNamespace(format=kind, data=message.data[:kept])
    with pytest.raises(EncodingError, match=r"cut off|cannot be decoded"):
        decode.decode_image(cut)


def test_a_picture_that_promises_more_pixels_than_anybody_can_hold_is_refused():
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    content = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", compress(b"0")) + chunk(b"IEND", b"")
    message = make_compressed(smooth_picture())
    message.data = np.frombuffer(content, dtype=np.uint8)
    with pytest.raises(EncodingError, match="cannot be decoded as 'png'"):
        decode.decode_image(message)


def test_an_image_whose_data_is_too_short_or_step_too_small_is_refused():
    message = make_image(smooth_picture(), "bgr8")
    message.data = message.data[:-1]
    with pytest.raises(EncodingError, match=r"expected at least 144 bytes a row and 4608 in all"):
        decode.decode_image(message)
    message = make_image(smooth_picture(), "bgr8")
    message.step = 100
    with pytest.raises(EncodingError, match="step 100"):
        decode.decode_image(message)


def test_yuv422_of_odd_width_is_refused():
    with pytest.raises(EncodingError, match="yuv422 image of 7 x 8"):
        decode.decode_image(make_image(np.zeros((8, 7, 2), np.uint8), "yuv422"))


def test_an_image_of_rclpy_holds_an_array_and_decodes_alike():
    rgb = smooth_picture()
    message = make_image(rgb, "rgb8")
    other = SimpleNamespace(**{**vars(message), "data": array.array("B", message.data.tobytes())})
    np.testing.assert_array_equal(decode.decode_image(other), rgb)
