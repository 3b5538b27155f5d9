import time

import numpy as np
import pytest
from helpers.color_server import MODEL, BassetEngine, encode, make_predictor, side_by_side
from helpers.shampoo import always

from hierpets.bench.isolated import decode_rate, measured_rate, network_rate, recommendation_rate, second_look_rate
from hierpets.bench.sample import choose_photos
from hierpets.inference.engines.cascade import SecondLookResult
from hierpets.inference.loading import load
from hierpets.inference.predictor import Predictor
from hierpets.plugin import Advice
from hierpets.registry.loading import load_registry


def test_measured_rate_counts_whole_steps_and_leaves_the_first_out():
    asked = []

    def run(count):
        asked.append(count)
        time.sleep(0.5 if len(asked) == 1 else 0.002 * count)  # a slow start, then at most 500 a second

    assert 50 < measured_rate(run, 0.2, step=4) <= 500
    assert all(count % 4 == 0 for count in asked)


def test_decode_rate_and_network_rate_are_above_zero(tiny_run, tmp_path):
    predictor = load(
        tiny_run / "bundle", registry=load_registry(tiny_run.parent / "registry.yaml"), recommend=False, workers=2
    )
    paths = choose_photos(None, 3, scratch=tmp_path).paths
    preprocess = predictor.manifest.preprocess
    assert decode_rate(preprocess, paths, 0.05) > 0
    assert network_rate(predictor.engine, preprocess, paths, 0.05) > 0


def test_network_rate_doubles_for_half_the_work(tiny_run, tmp_path):
    class Sleeper:
        workers = 2

        def __init__(self, seconds):
            self._seconds = seconds

        def __call__(self, images):
            time.sleep(self._seconds * len(images))

    manifest = load(tiny_run / "bundle", recommend=False).manifest
    paths = choose_photos(None, 2, scratch=tmp_path).paths
    slow, fast = (network_rate(Sleeper(s), manifest.preprocess, paths, 0.6) for s in (0.01, 0.005))
    assert fast / slow == pytest.approx(2, rel=0.35)


def test_second_look_rate_is_that_of_looking_again_alone(tiny_run, tmp_path):
    cascade = load(tiny_run / "bundle", recommend=False, workers=2).cascade
    paths = choose_photos(None, 4, scratch=tmp_path).paths
    cascade.second_look = None
    assert second_look_rate(cascade, paths, 0.05) is None
    seen = []

    def look_again(output, photos, *, rows, closer):
        seen.append(photos.decode(0).shape)
        time.sleep(0.02 * len(rows))
        return SecondLookResult(output, {}, {})

    cascade.second_look = look_again
    assert 20 < second_look_rate(cascade, paths, 0.4) <= 100, "two workers at 50 a second each"
    assert len(set(seen)) == 1, "read again, in more detail"


def test_recommendation_rate_is_that_of_rules_and_searches_alone(tmp_path):
    dog, fleas = tmp_path / "dog.png", always("fleas", Advice("flea_guard", "It is flea season.", score=3.0))
    dog.write_bytes(encode(side_by_side("a dog")))
    searched = []

    def search(read, judge, pet):
        time.sleep(0.02)
        searched.append((read().shape, pet))
        return np.zeros(3)

    predictor = make_predictor(BassetEngine(), rules=[fleas], bystanders=search)
    assert 20 < recommendation_rate(predictor, [str(dog)] * 4, 0.4) <= 100, "two workers at 50 a second"
    assert {pet for _, pet in searched} == {"dog"}
    searched.clear()
    harmless = make_predictor(BassetEngine(), rules=[], bystanders=search)
    assert recommendation_rate(harmless, [str(dog)] * 4, 0.05) > 100
    assert not searched
    assert recommendation_rate(Predictor(predictor.manifest, BassetEngine(), model=MODEL), [str(dog)], 0.05) is None
