"""The smoothing matrices against scipy's filter."""

import numpy as np
import pytest

from diff_planner.metrics.savgol import savgol, savgol_matrix


@pytest.mark.parametrize("count", [8, 36, 41, 55])
@pytest.mark.parametrize(
    ("window", "order", "derivative"),
    [(8, 2, 0), (15, 2, 1), (5, 2, 1), (5, 3, 2), (5, 2, 2), (99, 2, 0), (99, 2, 1)],
)
def test_matrix_is_scipys_filter_with_interpolated_ends(count, window, order, derivative):
    signal = pytest.importorskip("scipy.signal", reason="scipy is not installed")
    window = min(window, count)
    expected = signal.savgol_filter(
        np.eye(count), window, order, deriv=derivative, delta=0.1, axis=0
    )
    matrix = savgol_matrix(count, window, order, derivative, 0.1)
    np.testing.assert_allclose(matrix, expected, rtol=0, atol=1e-9)


def test_a_window_is_cut_to_the_series():
    assert np.array_equal(savgol_matrix(12, 99, 2), savgol_matrix(12, 12, 2))


def test_a_parabola_passes_an_odd_window_unchanged_and_gives_its_derivatives():
    t = np.arange(30) * 0.1
    parabola = 3.0 * t * t - t + 2.0
    np.testing.assert_allclose(savgol(parabola, 7, 2), parabola, atol=1e-9)
    np.testing.assert_allclose(savgol(parabola, 7, 2, 1, 0.1), 6.0 * t - 1.0, atol=1e-9)
    np.testing.assert_allclose(savgol(parabola, 7, 2, 2, 0.1), 6.0, atol=1e-7)


def test_an_order_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="order < window 5"):
        savgol_matrix(30, 5, 5)
