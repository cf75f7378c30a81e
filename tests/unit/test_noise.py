import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diff_planner.noise import NoiseSpec, draw

STAMP_NS = 1_700_000_000_000_000_000


def normal(name="noise", shape=(3, 2)):
    return NoiseSpec(name=name, shape=shape, distribution="normal")


def uniform(name="u", shape=(4,)):
    return NoiseSpec(name=name, shape=shape, distribution="uniform")


def test_frozen_numbers_stay_the_same_on_every_numpy():
    drawn = draw([normal(), uniform()], seed=7, stamp_ns=STAMP_NS)
    # Made by this code on numpy 2.4.6 and 1.26.4; log and cos may differ in a float64's last bit.
    expected = [
        [-2.453967332839966, 0.15981024503707886],
        [1.4857325553894043, 0.5701090097427368],
        [-0.3924103081226349, 1.3268626928329468],
    ]
    np.testing.assert_allclose(drawn["noise"], expected, rtol=1e-6)
    np.testing.assert_array_equal(
        drawn["u"],
        np.float32(
            [0.5660606622695923, 0.36462438106536865, 0.7761895656585693, 0.24318701028823853]
        ),
    )


def test_a_draw_depends_neither_on_order_nor_on_other_draws():
    alone = draw([normal("b")], 1, STAMP_NS)["b"]
    last = draw([uniform("a"), normal("c"), normal("b")], 1, STAMP_NS)["b"]
    np.testing.assert_array_equal(alone, last)


@given(st.integers(0, 2**63 - 1), st.integers(-(2**62), 2**62))
def test_seed_and_stamp_and_name_each_change_the_numbers(seed, stamp_ns):
    def numbers(seed, stamp_ns, name="noise"):
        return draw([normal(name)], seed, stamp_ns)[name].tobytes()

    base = numbers(seed, stamp_ns)
    assert base == numbers(seed, stamp_ns)
    others = {
        numbers(seed ^ 1, stamp_ns),
        numbers(seed, stamp_ns + 1),
        numbers(seed, stamp_ns, "x"),
    }
    assert len(others) == 3
    assert base not in others


def test_normal_numbers_have_the_moments_of_a_standard_normal():
    values = draw([normal(shape=(200_000,))], 0, STAMP_NS)["noise"].astype(np.float64)
    moments = [values.mean(), (values**2).mean(), (values**3).mean(), (values**4).mean()]
    # Three deviations of each mean: sqrt of (1, 2, 15, 96) / 200000.
    np.testing.assert_allclose(moments, [0, 1, 0, 3], atol=3 * np.sqrt(96 / 200_000))
    assert moments[0] == pytest.approx(0, abs=3 * np.sqrt(1 / 200_000))
    assert np.corrcoef(values[:-1], values[1:])[0, 1] == pytest.approx(0, abs=0.01)


def test_uniform_numbers_fill_the_unit_interval_evenly():
    values = draw([uniform(shape=(100_000,))], 0, STAMP_NS)["u"]
    assert values.min() >= 0.0
    assert values.max() < 1.0
    counts, _ = np.histogram(values, bins=20, range=(0, 1))
    chi_squared = ((counts - 5000) ** 2 / 5000).sum()
    assert chi_squared < 43.8  # 99.9 % of chi-squared with 19 degrees of freedom


def test_shapes_and_type_are_those_of_the_card():
    drawn = draw([normal(shape=(20, 8, 2)), uniform(shape=())], 0, 0)
    assert drawn["noise"].shape == (20, 8, 2)
    assert drawn["u"].shape == ()
    assert {array.dtype for array in drawn.values()} == {np.dtype(np.float32)}
