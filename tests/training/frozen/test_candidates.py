from hierpets.config import AutoConfig, BackboneChoice, HeadSpec
from hierpets.training.frozen.candidates import Candidate, FrozenChoice, head_specs, rank_candidates
from hierpets.training.score import Score


def candidate(name: str, breed: float, nll: float) -> Candidate:
    return Candidate(FrozenChoice(BackboneChoice(name=name), "plain", HeadSpec()), Score(breed, 1.0, nll))


def test_the_best_candidate_breaks_a_tie_by_likelihood_and_then_by_order():
    small, sure, late, worse = (
        candidate("small", 0.9, 0.5),
        candidate("sure", 0.9, 0.3),
        candidate("late", 0.9, 0.3),
        candidate("worse", 0.8, 0.1),
    )
    assert rank_candidates([small, sure, late, worse])[0] is sure


def test_head_specs_leaves_logistic_regression_out_where_photos_are_many():
    auto = AutoConfig(heads=(HeadSpec(), HeadSpec(kind="logistic"), HeadSpec(kind="blend")))
    assert len(list(head_specs(auto, photos=100))) == 3
    assert [spec.kind for spec in head_specs(auto, photos=100_000)] == ["lda"]
