"""The collision kernel and the polygons against shapely."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from diff_planner.metrics.boxes import Boxes, meets_ring, separation
from diff_planner.metrics.polygons import Polygons, ring_contains

CLOSE = 1e-9
"""Nearer to touching than this, rounding may decide either way."""


def boxes(x, y, yaw, length, width):
    values = [np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in (x, y, yaw, length, width)]
    return Boxes(
        values[0], values[1], np.cos(values[2]), np.sin(values[2]), values[3] / 2, values[4] / 2
    )


def random_boxes(rng, count, spread=6.0):
    return boxes(
        rng.uniform(-spread, spread, count),
        rng.uniform(-spread, spread, count),
        rng.uniform(-np.pi, np.pi, count),
        rng.uniform(0.3, 8.0, count),
        rng.uniform(0.2, 3.0, count),
    )


def outlines(some):
    shapely = pytest.importorskip("shapely", reason="shapely is not installed")
    x, y = some.corners()
    return shapely.polygons(np.stack([x.T, y.T], axis=-1))


def random_ring(rng, count=9):
    """A star-shaped ring around a random place: simple, and mostly concave."""
    angle = np.sort(rng.uniform(-np.pi, np.pi, count))
    radius = rng.uniform(1.0, 12.0, count)
    ring = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    return ring + rng.uniform(-4.0, 4.0, 2)


def test_boxes_overlap_where_shapely_says_so_and_the_gap_bounds_the_distance():
    shapely = pytest.importorskip("shapely", reason="shapely is not installed")
    rng = np.random.default_rng(1)
    a, b = random_boxes(rng, 20_000), random_boxes(rng, 20_000)
    gap = separation(a, b)
    one, other = outlines(a), outlines(b)
    sure = np.abs(gap) > CLOSE
    assert np.array_equal((gap <= 0.0)[sure], shapely.intersects(one, other)[sure])
    distance = shapely.distance(one, other)
    assert (np.maximum(gap, 0.0) <= distance + CLOSE).all()
    assert 0.1 < np.mean(gap <= 0.0) < 0.9


def test_a_negative_separation_is_how_far_one_must_be_moved():
    rng = np.random.default_rng(2)
    a, b = random_boxes(rng, 4000, 2.0), random_boxes(rng, 4000, 2.0)
    gap = separation(a, b)
    for depth, expected in ((0.99, False), (1.01, True)):
        # Moved along the normals of both boxes: the least way out is one of these.
        free = np.zeros(len(gap), dtype=bool)
        for normal in [(a.cos, a.sin), (-a.sin, a.cos), (b.cos, b.sin), (-b.sin, b.cos)]:
            for sign in (-1.0, 1.0):
                moved = Boxes(
                    b.x - sign * depth * gap * normal[0],
                    b.y - sign * depth * gap * normal[1],
                    b.cos,
                    b.sin,
                    b.half_length,
                    b.half_width,
                )
                free |= separation(a, moved) > 0.0
        overlapping = gap < -1e-6
        assert (free[overlapping] == expected).all()


def test_touching_counts_as_a_collision():
    a = boxes(0.0, 0.0, 0.0, 4.0, 2.0)
    assert separation(a, boxes(4.0, 0.0, 0.0, 4.0, 2.0))[0] == 0.0
    assert separation(a, boxes(0.0, 2.5, 0.0, 4.0, 2.0))[0] == pytest.approx(0.5)
    assert separation(a, boxes(3.0, 0.0, 0.0, 4.0, 2.0))[0] == pytest.approx(-1.0)


def test_a_front_edge_is_met_from_the_front_and_not_from_the_side():
    ego = boxes(0.0, 0.0, 0.0, 5.0, 2.0)
    assert separation(ego.front(), boxes(3.5, 0.0, 1.0, 3.0, 1.0))[0] < 0.0
    assert separation(ego.front(), boxes(0.0, 1.2, 0.0, 3.0, 1.0))[0] > 0.0


@given(st.integers(0, 2**32 - 1))
def test_a_box_meets_a_polygon_where_shapely_says_so(seed):
    shapely = pytest.importorskip("shapely", reason="shapely is not installed")
    rng = np.random.default_rng(seed)
    ring, some = random_ring(rng), random_boxes(rng, 200, 14.0)
    polygon = shapely.Polygon(ring)
    assume(polygon.is_valid)
    distance = shapely.distance(outlines(some), polygon)
    sure = (distance == 0.0) | (distance > CLOSE)
    assert np.array_equal(meets_ring(some, ring)[sure], (distance == 0.0)[sure])


@given(st.integers(0, 2**32 - 1))
def test_a_polygon_holds_the_points_that_shapely_says(seed):
    shapely = pytest.importorskip("shapely", reason="shapely is not installed")
    rng = np.random.default_rng(seed)
    ring, points = random_ring(rng), rng.uniform(-14.0, 14.0, (2, 300))
    polygon = shapely.Polygon(ring)
    sure = shapely.distance(polygon.exterior, shapely.points(*points)) > CLOSE
    expected = shapely.contains_xy(polygon, *points)
    assert np.array_equal(ring_contains(ring, points)[sure], expected[sure])
    assert np.array_equal(ring_contains(ring[::-1], points)[sure], expected[sure])


def test_a_ring_may_repeat_its_first_point():
    ring = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 3.0], [0.0, 0.0]])
    points = np.array([[3.0, 1.0, 5.0], [1.0, 2.0, 1.0]])
    assert ring_contains(ring, points).tolist() == [True, False, False]


def test_many_polygons_together_hold_what_one_of_them_holds():
    shapely = pytest.importorskip("shapely", reason="shapely is not installed")
    rng = np.random.default_rng(5)
    rings = [random_ring(rng) + rng.uniform(-30.0, 30.0, 2) for _ in range(20)]
    points = rng.uniform(-45.0, 45.0, (2, 5000))
    held = Polygons.of(rings).any_contains(points)
    expected = np.logical_or.reduce(
        [shapely.contains_xy(shapely.Polygon(ring), *points) for ring in rings]
    )
    assert np.array_equal(held, expected)
    assert not Polygons.of([]).any_contains(points).any()


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("way_round", [1, -1])
def test_a_point_on_a_border_along_an_axis_is_outside(turns, way_round):
    ring = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 0.0], [4.0, 2.0], [1.0, 2.0], [0.0, 1.0]])
    quarter = np.linalg.matrix_power(np.array([[0.0, -1.0], [1.0, 0.0]]), turns)
    border = np.array([[2.0, 0.0], [0.0, 0.5], [4.0, 1.0], [2.0, 2.0], [0.0, 0.0], [4.0, 2.0]])
    within = np.array([[2.0, 1e-12], [1e-12, 0.5], [3.0, 1.0]])
    ring = (ring @ quarter.T)[::way_round]
    assert not ring_contains(ring, quarter @ border.T).any()
    assert ring_contains(ring, quarter @ within.T).all()
