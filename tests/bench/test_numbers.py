import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierpets.bench.numbers import bound, find_limit, median_of, percentiles

rates = st.floats(0.1, 1e5)


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_percentiles_are_measured_values_that_so_many_do_not_exceed(values):
    for name, value in percentiles(values).items():
        share = int(name[1:]) / 100
        assert value in values
        assert sum(v <= value for v in values) >= share * len(values)
        assert sum(v < value for v in values) < share * len(values)


@given(rates, rates)
def test_bound_is_below_the_slower_part_and_above_half_of_it(decode, network):
    assert min(decode, network) / 2 * 0.999 <= bound(decode, network) <= min(decode, network)


@given(
    st.fixed_dictionaries(dict.fromkeys(("throughput", "decode", "network", "recommendation"), rates)),
    st.none() | rates,
)
def test_find_limit_shares_sum_to_one_and_the_largest_is_the_limit(measured, second_look):
    limit = find_limit(**measured, second_look=second_look)
    assert ("second looks" in limit.shares) == (second_look is not None)
    assert sum(limit.shares.values()) == pytest.approx(1)
    assert limit.shares[limit.by] == max(limit.shares.values())


@pytest.mark.parametrize(
    ("throughput", "decode", "network", "by", "reached"),
    [(80, 1000, 100, "network", 0.88), (80, 100, 1000, "decode", 0.88), (20, 400, 400, "Python", 0.1)],
)
def test_find_limit_follows_the_rates(throughput, decode, network, by, reached):
    limit = find_limit(throughput=throughput, decode=decode, network=network, recommendation=1e4)
    assert limit.by == by
    assert limit.reached == pytest.approx(reached)
    assert f"{limit.shares[by]:.0%}" in limit.sentence


def test_what_second_looks_and_recommendations_take_is_not_called_python():
    rates = {"throughput": 40, "decode": 400, "network": 200, "recommendation": 250}
    shares = {"decode": 0.1, "network": 0.2, "recommendations": 0.16}
    assert find_limit(**rates).shares == pytest.approx(shares | {"Python": 0.54})
    limit = find_limit(**rates, second_look=100)
    assert limit.by == "second looks"
    assert limit.shares == pytest.approx(shares | {"second looks": 0.4, "Python": 0.14})
    assert limit.reached == find_limit(**rates).reached, "of what decoding and the network allow, which all photos need"


def test_median_of_rounds_is_taken_number_by_number():
    assert median_of([{"a": 1, "b": 9}, {"a": 5, "b": 7}, {"a": 3, "b": 8}]) == {"a": 3, "b": 8}
