"""Decisions in the browser against those of Python, on hundreds of outputs of networks."""

import base64
import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from helpers.policies import flat_policy
from helpers.shampoo import always
from helpers.web_page import rgba

from hierpets.bundle.identity import ModelId
from hierpets.bundle.manifest import BackboneSpec, EarlyNetwork, Manifest, OODSpec
from hierpets.export.web.advice import advise
from hierpets.export.web.describe import describe
from hierpets.hierarchy.calibration import Temperatures
from hierpets.hierarchy.likeness import OtherAnimal
from hierpets.hierarchy.policy import MAX_SET, Policy
from hierpets.inference.detector.bystanders import Bystanders
from hierpets.inference.detector.network import ANIMALS, SIZE, Detections
from hierpets.inference.detector.second_look import SecondLook
from hierpets.inference.engines.base import RawOutput
from hierpets.inference.predictor import Predictor
from hierpets.messages.catalogue import LANGUAGES, speaking
from hierpets.plugin import Advice, Preprocess
from hierpets.recommend.choose import Recommender
from hierpets.recommend.suitability import SuitabilityMatrix
from hierpets.registry.loading import load_registry
from hierpets.taxonomy import Taxonomy

PHOTOS = 500
SIDE = 16
MODEL = ModelId(digest="0123456789abcdef")
TREE = Taxonomy(
    tree={
        "cat": ("birman", "maine_coon", "siamese", "sphynx"),
        "dog": ("beagle", "boxer", "chihuahua", "pug", "samoyed"),
        "rabbit": (),
        "horse": ("arabian",),
    }
)
PIXELS = Preprocess(size=16, crop=1.0, mean=(0, 0, 0), std=(1, 1, 1))
BACKBONE = BackboneSpec(name="replay", feature_dim=1)
OOD = OODSpec(classes=len(TREE.leaves), species=len(TREE.species))


class Replay:
    """A network whose output for a photo of one color is the row that the color numbers."""

    name, device, precision = "replay", "cpu", "f32"
    workers, batch = 1, 64

    def __init__(self, rows):
        self.rows = rows

    def __call__(self, pixels):
        red, green = pixels[:, 0, 0, :2].astype(int).T  # that of the upper left corner
        return RawOutput(*(array[red + 256 * green] for array in self.rows))


def colored(number):
    return np.array([number % 256, number // 256, 0], np.uint8)


def numbered(number):
    """Of the color that numbers it on the left, and that of the next one on the right."""
    photo = np.broadcast_to(colored(number), (SIDE, SIDE, 3)).copy()
    photo[:, SIDE // 2 :] = colored((number + 1) % PHOTOS)
    return photo


class ReplayDetector:
    """What a detector sees in each photo: two boxes on its right, in every second one beside each other, and one around
    all of it; any may be an animal.
    """

    def __init__(self):
        draw = np.random.default_rng(5)
        edges = np.zeros((PHOTOS, 3, 4))
        edges[:, :2, :2] = draw.uniform(0.7, 0.75, (PHOTOS, 2, 2))
        edges[:, :2, 2:] = draw.uniform(0.8, 0.95, (PHOTOS, 2, 2))
        edges[::2, 0, [0, 2]] -= 0.6
        edges[:, 2] = [-0.1, 0.0, 1.1, 1.0]
        self.edges = edges.astype(np.float32)
        self.logits = draw.normal(-1, 2, (PHOTOS, 3, len(ANIMALS))).astype(np.float32)

    def __call__(self, pixels):
        number = int(pixels[0, 0, 0]) + 256 * int(pixels[0, 0, 1])
        return Detections(self.edges[number], self.logits[number])


def outputs(seed, *, tree=TREE, sharpness=1.0):
    """Logits and scores of networks that are sure of some photos, and torn over others."""
    draw = np.random.default_rng(seed)
    scale = sharpness * draw.gamma(2.0, 2.0, (PHOTOS, 1))
    scores = np.concatenate([draw.normal(0, 2, (PHOTOS, 1)), draw.beta(2, 0.4, (PHOTOS, len(tree.species)))], axis=1)
    arrays = (
        draw.normal(1.5, 2, (PHOTOS, 1)),
        scale * draw.normal(size=(PHOTOS, len(tree.species))),
        scale * draw.normal(size=(PHOTOS, len(tree.leaves))),
        scores,
    )
    return RawOutput(*(array.astype(np.float32) for array in arrays))


def fitted_policy():
    """Thresholds that differ by species; a grown breed with one of its own, and one without a promise."""
    draw = np.random.default_rng(9)
    rows = {
        name: tuple(map(tuple, np.sort(draw.beta(1 + s, 3, (150, MAX_SET)), axis=1)[:, ::-1].tolist()))
        for s, name in enumerate(TREE.species)
    }
    own = tuple(np.sort(draw.beta(2, 2, 40)).tolist())
    leaves = {"dog/pug": own, "dog/samoyed": (0.1,), "horse/arabian": own}
    return Policy(alpha=0.1, pet=-1.0, scores={"trained": rows, "unlisted": {"dog": rows["dog"]}}, leaves=leaves)


def manifest(**fields):
    first = [columns.start for columns in TREE.slices]
    others = ("pretrained", "grown")
    origins = tuple("trained" if at in first else others[at % 2] for at in range(len(TREE.leaves)))
    common = {"preprocess": PIXELS, "backbone": BACKBONE, "origins": origins, "ood": OOD}
    return Manifest(**{"taxonomy": TREE, **common, "policy": fitted_policy(), **fields})


EARLY = EarlyNetwork(
    backbone=BACKBONE,
    preprocess=PIXELS.model_copy(update={"size": 24}),
    ood=OOD,
    temperatures=Temperatures(species=1.5, breeds={"cat": 0.7}),
    threshold=0.6,
    share=0.5,
)
MANIFESTS = {
    "thresholds by species": manifest(temperatures=Temperatures(species=2.0, breeds={"dog": 0.4, "cat": 3.0})),
    "shared softmax": manifest(combiner="shared_softmax", temperatures=Temperatures(species=0.3)),
    "flat, one threshold": manifest(combiner="flat", policy=flat_policy(TREE.species, 0.4, pet=0.0)),
    "no OOD scorer": manifest(ood=None),
    "not calibrated": manifest(policy=Policy()),
    "asked in turn": manifest(early=(EARLY,), temperatures=Temperatures(species=0.8)),
}


@pytest.fixture(scope="module")
def recommender():
    return Recommender.load(load_registry())


def in_the_browser(scripts, known, networks, detector=None, *, count=PHOTOS, twice=True):
    """The records of so many photos; ``networks`` holds the outputs of each. A photo can be read again if ``twice``."""
    script = """async ([model, networks, edges, logits, size, photos, side, twice]) => {
        const { makePredictor } = await import("/predictor.js");
        const numbered = (red, green) => Math.round(red) + 256 * Math.round(green);
        class Tensor { constructor(type, data) { this.data = data; } }
        const floats = (arrays) => arrays.map((array) => ({ data: Float32Array.from(array.flat()) }));
        const sessions = networks.map((rows) => ({ run: async ({ images: { data } }, names) => {
            const own = rows[numbered(255 * data[0], 255 * data[data.length / 3])];
            return Object.fromEntries(names.map((name) => [name, { data: Float32Array.from(own[name]) }]));
        } }));
        const see = { run: async ({ squares: { data } }) => {
            if (data.length !== 3 * size ** 2) throw new Error(`a square of ${data.length} bytes`);
            const number = numbered(data[0], data[1]);
            const [ofEdges, ofLogits] = floats([edges[number], logits[number]]);
            return { edges: ofEdges, logits: ofLogits };
        } };
        const predict = makePredictor(model, sessions, async () => see, Tensor);
        const bytes = (photo) => Uint8ClampedArray.from(atob(photo), (c) => c.charCodeAt(0));
        const records = [];
        for (const photo of photos.map((pixels) => ({ width: side, height: side, pixels: bytes(pixels) }))) {
            const again = async () => { if (twice) return photo; throw new Error("gone"); };
            records.push(await predict(photo, again));
        }
        return records;
    }"""
    names = ("features", "species", "leaf", "scores")
    rows = [
        [{n: getattr(output, n)[i].tolist() for n in names} for i in range(len(output.leaf))] for output in networks
    ]
    seen = [[], []] if detector is None else [detector.edges.tolist(), detector.logits.tolist()]
    photos = [base64.b64encode(rgba(numbered(i))).decode() for i in range(count)]
    return scripts(script, [json.loads(known.model_dump_json()), rows, *seen, SIZE, photos, SIDE, twice])


def told(record):
    """What must be equal: all but numbers and the shampoo."""
    return {
        "level": record["level"],
        "source": record["source"],
        "species": record["species"] and record["species"]["label"],
        "breed": record["breed"] and (record["breed"]["label"], record["breed"]["origin"]),
        "breeds": [breed["label"] for breed in record["breeds"]],
        "top": [(leaf["species"], leaf["breed"], leaf["origin"]) for leaf in record["top"]],
        "stage": record["stage"],
        "looked again": record["second_look"] is not None,
    }


def numbers(record):
    scores = [record["scores"][name] for name in ("pet", "listed")] if record["scores"] else []
    box = record["second_look"] or {}
    nodes = [record["species"], record["breed"], *record["breeds"], *record["top"]]
    return [*scores, *map(box.get, sorted(box)), *(node["probability"] for node in nodes if node)]


@pytest.mark.browser
@pytest.mark.parametrize("name", MANIFESTS)
def test_browser_decides_as_python(scripts, recommender, name):
    known = MANIFESTS[name]
    networks = [outputs(stage, sharpness=2.0) for stage in range(len(known.networks))]
    *early, main = map(Replay, networks)
    predictor = Predictor(known, main, early=early, model=MODEL)
    ours = [found.record().model_dump(mode="json") for found in predictor.predict([*map(numbered, range(PHOTOS))])]
    files = [network.weights for network in known.networks]
    theirs = in_the_browser(scripts, describe(known, MODEL, files, recommender, scripts=""), networks)
    assert [*map(told, theirs)] == [*map(told, ours)]
    for a, b in zip(theirs, ours, strict=True):
        # An early network's logits pass through float32 once more in Python.
        assert np.allclose(numbers(a), numbers(b), rtol=0, atol=1e-5 if known.early else 1e-9)
    assert len({record["source"] for record in ours}) >= 4
    assert len({record["stage"] for record in ours}) == len(known.networks)


PETS = ("cat", "dog")  # what is no pet can be told beside them


def doubtful(*, grown=(), second_look=True, others=False, **fields):
    """A model that is sure of little, and that some species were added to. ``others``: whether it learned what other
    breeds look like, so that a sure breed makes a pet.
    """
    tree = Taxonomy(tree={name: TREE.tree[name] for name in (*PETS, *grown)})
    common = {
        "ood": OODSpec(classes=len(tree.leaves), species=len(tree.species)),
        "origins": tuple("grown" if leaf.species in grown else "trained" for leaf in tree.leaves),
        "temperatures": Temperatures(species=3.0),
        "policy": flat_policy(tree.species, 0.4, pet=0.0),
    }
    if others:
        scores = common["policy"].scores
        common["policy"] = Policy(scores=scores | {"unlisted": scores["trained"]}, pet=0.0)
    return manifest(taxonomy=tree, second_look=second_look, **common, **fields)


HORSES = {
    "other_animals": tuple(
        OtherAnimal(name=name, weights=(weight,), bias=bias)
        for name, weight, bias in (("horse", 1, 0), ("horse", -2, 1), ("lion", 9, 9))
    )
}
DOUBTFUL = {
    "in the main network": doubtful(**HORSES),
    "in an early one": doubtful(early=(EARLY.model_copy(update={"threshold": 0.3}),), **HORSES),
    "where a sure breed makes a pet": doubtful(others=True, **HORSES),
    "for other animals alone": doubtful(second_look=False),
    "beside grown horses": doubtful(grown=("horse",), **HORSES),
    "for other animals alone, beside grown rabbits": doubtful(grown=("rabbit",), second_look=False),
}


@pytest.mark.browser
@pytest.mark.parametrize("name", DOUBTFUL)
def test_browser_looks_again_as_python(scripts, recommender, name):
    known, detector = DOUBTFUL[name], ReplayDetector()
    networks = [outputs(stage, tree=known.taxonomy, sharpness=0.5) for stage in range(len(known.networks))]
    *early, main = map(Replay, networks)
    predictor = Predictor(known, main, early=early, second_look=SecondLook.of(known, detector), model=MODEL)
    ours = [found.record().model_dump(mode="json") for found in predictor.predict([*map(numbered, range(PHOTOS))])]
    files = [network.weights for network in known.networks]
    theirs = in_the_browser(scripts, describe(known, MODEL, files, recommender, scripts=""), networks, detector)
    assert [*map(told, theirs)] == [*map(told, ours)]
    for a, b in zip(theirs, ours, strict=True):
        assert np.allclose(numbers(a), numbers(b), rtol=0, atol=1e-5)
    once = Predictor(known, main, early=early, model=MODEL).predict([*map(numbered, range(PHOTOS))])
    assert sum(one.pet_score > two["scores"]["pet"] for one, two in zip(once, ours, strict=True)) > 50
    assert known.second_look == (sum(two["second_look"] is not None for two in ours) > 50)


@pytest.mark.browser
def test_browser_keeps_the_first_look_where_a_photo_cannot_be_read_again(scripts, recommender):
    known = DOUBTFUL["in the main network"]
    networks = [outputs(0, tree=known.taxonomy, sharpness=0.5)]
    once = Predictor(known, Replay(networks[0]), model=MODEL).predict([*map(numbered, range(PHOTOS))])
    described = describe(known, MODEL, ["a.onnx"], recommender, scripts="")
    theirs = in_the_browser(scripts, described, networks, ReplayDetector(), twice=False)
    assert [*map(told, theirs)] == [told(found.record().model_dump(mode="json")) for found in once]


CATS_AND_DOGS = Taxonomy(tree={name: TREE.tree[name] for name in PETS})
SEARCHED = {
    "looked at again": DOUBTFUL["for other animals alone"],
    "without a pet score": manifest(
        taxonomy=CATS_AND_DOGS,
        ood=None,
        origins=("trained",) * len(CATS_AND_DOGS.leaves),
        policy=flat_policy(PETS, 0.4),
    ),
}


@pytest.mark.browser
@pytest.mark.parametrize("name", SEARCHED)
def test_browser_recommends_nothing_that_may_hurt_an_animal_beside(scripts, recommender, name):
    known, detector = SEARCHED[name], ReplayDetector()
    species, hazards = known.taxonomy.species, recommender.catalog.hazards
    fleas = Recommender(recommender.catalog, [always("fleas", Advice("flea_guard", "It has fleas.", score=3.0))])
    networks = [outputs(0, tree=known.taxonomy, sharpness=60.0)]
    described = describe(known, MODEL, ["a.onnx"], fleas, scripts="")
    blind = described.model_copy(
        update={"bystanders": described.bystanders.model_copy(update={"min_probability": 2.0})}
    )
    before, after = (in_the_browser(scripts, one, networks, detector, count=150) for one in (blind, described))
    look, judge = Bystanders(detector, species), Predictor(known, Replay(networks[0]), model=MODEL).cascade.judge
    changed = 0
    for number, (alone, found) in enumerate(zip(before, after, strict=True)):
        product = alone["recommendation"]["product"]
        if not hazards.get(product) or not look(partial(numbered, number), judge, alone["species"]["label"]).any():
            assert found == alone
            continue
        changed += 1
        assert not set(species) & set(hazards.get(found["recommendation"]["product"], ()))
        reasons = {one["product"]: one["reason"] for one in found["recommendation"]["ruled_out"]}
        assert "and a cat may be in the photo too" in reasons[product]
    assert changed > 10
    assert sum(bool(hazards.get(record["recommendation"]["product"])) for record in after) > 10


@pytest.mark.browser
def test_browser_never_recommends_what_may_hurt_another_species(scripts, recommender):
    known, matrix = MANIFESTS["thresholds by species"], SuitabilityMatrix.of(recommender.catalog, TREE)
    found = outputs(3, sharpness=3.0)
    records = in_the_browser(scripts, describe(known, MODEL, ["a.onnx"], recommender, scripts=""), [found])
    joints = Predictor(known, Replay(found), model=MODEL).joint(found)
    products, chosen = [*recommender.catalog.products], 0
    for record, joint in zip(records, joints, strict=True):
        advice = record["recommendation"]
        if record["level"] == "unknown":
            assert advice["product"] is None
        if advice["product"] is None:
            continue
        chosen += 1
        weighed = matrix.weigh(joint, unlisted=_unlisted(record))
        place = products.index(advice["product"])
        assert weighed.harm[place] <= recommender.bound
        assert advice["confidence"] == pytest.approx(weighed.suits[place], abs=1e-9)
        assert sum(advice["coats"].values()) == pytest.approx(weighed.coats.sum(), abs=1e-9)
    assert chosen > PHOTOS / 10


@pytest.mark.browser
def test_browser_weighs_products_as_python(scripts, recommender):
    """But for one that no breed gets by itself, and for rules that count breeds together."""
    known, same = MANIFESTS["thresholds by species"], []
    for seed, sharpness in enumerate((1.0, 2.0, 4.0)):
        found = outputs(seed, sharpness=sharpness)
        records = in_the_browser(scripts, describe(known, MODEL, ["a.onnx"], recommender, scripts=""), [found])
        joints = Predictor(known, Replay(found), model=MODEL).joint(found)
        for record, joint in zip(records, joints, strict=True):
            if record["level"] != "unknown":
                ours = recommender.recommend(joint, TREE, record["level"], unlisted=_unlisted(record)).record()
                same.append(record["recommendation"]["product"] == ours.product)
    assert len(same) > 300
    assert np.mean(same) > 0.99


DOGS = Taxonomy(tree={"dog": ("boxer", "dalmatian", "dobermann", "samoyed", "vizsla", "west_highland_white_terrier")})


@pytest.mark.browser
@pytest.mark.parametrize("level", ["breed", "species"])
def test_browser_never_recommends_what_a_rule_vetoes_for_this_photo(scripts, recommender, level):
    """A rule may veto a product for what a pet may well be beside the breed that is named."""
    fields = {"taxonomy": DOGS, "ood": None, "origins": ("trained",) * len(DOGS.leaves)}
    policy = flat_policy(DOGS.species, 0.3 if level == "breed" else 0.95)
    known, found = manifest(policy=policy, **fields), outputs(4, tree=DOGS, sharpness=0.4)
    records = in_the_browser(scripts, describe(known, MODEL, ["a.onnx"], recommender, scripts=""), [found])
    joints, vetoed = Predictor(known, Replay(found), model=MODEL).joint(found), 0
    for record, joint in zip(records, joints, strict=True):
        ours = recommender.recommend(joint, DOGS, record["level"])
        vetoes = {one.product for step in ours.steps for one in step.advice if one.veto}
        assert record["recommendation"]["product"] not in vetoes
        if record["level"] == level:
            ruled_out = {(one["product"], one["reason"]) for one in record["recommendation"]["ruled_out"]}
            assert ruled_out == {(one.product, one.reason) for one in ours.ruled_out}
        vetoed += record["level"] == level and bool(vetoes)
    assert vetoed > PHOTOS / 10


def test_advice_tells_the_share_up_to_which_a_rule_vetoes_nothing(recommender):
    advice = advise(recommender, manifest())
    products, boxer = [*recommender.catalog.products], TREE.leaf_index("dog", "boxer")
    perfumed = products.index("smooth_shine")
    assert advice.vetoed[boxer][perfumed] and not advice.vetoed[boxer][products.index("gentle_everyday")]
    assert 0.19 < advice.veto_threshold[perfumed] <= 0.2


@pytest.mark.browser
def test_browser_says_of_a_known_dog_that_no_product_is_good_for_it(scripts, recommender):
    """Not that nobody knows which animal it is."""
    special = {name: one for name, one in recommender.catalog.products.items() if one.suits.coats or one.suits.skin}
    own = Recommender(replace(recommender.catalog, products=special), recommender.rules)
    fields = {"taxonomy": DOGS, "ood": None, "origins": ("trained",) * len(DOGS.leaves)}
    known = manifest(policy=flat_policy(DOGS.species, 0.95), **fields)
    networks = [outputs(4, tree=DOGS, sharpness=0.4)]
    records = in_the_browser(scripts, describe(known, MODEL, ["a.onnx"], own, scripts=""), networks)
    said = {one["recommendation"]["reason"] for one in records if not one["recommendation"]["product"]}
    assert said == {"None of our shampoos is a safe and good choice for this dog."}


@pytest.mark.parametrize("way", ["sure", "unsure", "beside"])
def test_advice_of_a_species_holds_what_each_of_its_breeds_gets(recommender, way):
    """Also where all of them get the same product, unless another animal may be there."""
    fleas = Recommender(recommender.catalog, [*recommender.rules, always("fleas", Advice("flea_guard", "Fleas.", 2.0))])
    advice = advise(fleas, manifest())

    def products(choices):
        return {advice.recommendations[getattr(choice, way)].product for choice in choices}

    for choices, leaves in zip(advice.species, TREE.slices, strict=True):
        assert products(advice.leaves[leaves]) <= products(choices)


def _unlisted(record):
    """As the predictor hands it on: dogs alone were judged."""
    if record["species"]["label"] == "dog":
        return 1 - record["scores"]["listed"]
    return 0.5 if record["level"] == "species" else 0.0


def test_advice_is_that_of_python_for_a_sure_breed(recommender):
    advice = describe(manifest(), MODEL, ["a.onnx"], recommender, scripts="").advice
    for leaf, row, choice in zip(TREE.leaves, np.eye(len(TREE.leaves)), advice.leaves, strict=True):
        ours = recommender.recommend(row, TREE, "breed").record()
        found = advice.recommendations[choice.sure]
        assert (found.product, found.rule) == (ours.product, ours.rule)
        assert ours.reason.endswith(" ".join(found.sentences[1:])), leaf  # but for how probable its coat is


@pytest.mark.parametrize("language", LANGUAGES)
def test_advice_states_no_probability_for_each_photo_has_its_own(recommender, language):
    with speaking(language):
        advice = describe(manifest(), MODEL, ["a.onnx"], recommender, scripts="").advice
    assert not [one for one in advice.recommendations if "%" in " ".join(one.sentences)]


def test_advice_speaks_of_the_coat_of_a_breed_but_of_none_of_a_species(recommender):
    advice = describe(manifest(), MODEL, ["a.onnx"], recommender, scripts="").advice

    def said(choices):
        return [" ".join(advice.recommendations[choice.sure].sentences) for choice in choices]

    of_breeds = said(advice.leaves)
    either = "It may have a short, close coat or a long, fine coat with little undercoat. "
    assert of_breeds[TREE.leaf_index("dog", "chihuahua")].startswith(either)
    assert of_breeds[TREE.leaf_index("cat", "sphynx")].startswith("It has hardly any coat. ")
    of_species = [reason for choices in advice.species for reason in said(choices)]
    assert not [reason for reason in of_species if "It has" in reason or "It may have" in reason]


@pytest.mark.browser
def test_browser_says_of_several_breeds_only_what_fits_them_all(scripts):
    def one(*sentences, ruled_out):
        return {
            "product": "mild",
            "sentences": [*sentences, "Mild is mild."],
            "ruled_out": [*map(veto, ruled_out)],
            "harms": [],
        }

    def veto(product):
        return {"product": product, "name": product, "reason": "It is not mild."}

    advice = {
        "bound": 0.001,
        "recommendations": [one("It has a curly coat.", ruled_out="ab"), one("It has a wiry coat.", ruled_out="b")],
        "leaves": [dict.fromkeys(("sure", "unsure", "beside"), place) for place in (0, 1)],
        "knows_listed": [False],
        "products": ["mild"],
        "suits": [[1], [1], [1]],
        "coat_types": [],
        "coats": [[], [], []],
        "vetoed": [[False], [False], [False]],
        "veto_threshold": [0],
        "vetoes": [None],
        "scores": {"species": [[1], [1], [1]]},
        "species": [[]],
        "unknown": 0,
    }
    decision = {"level": "species", "species": 0, "masses": [1], "listed": 1, "best": 0}
    script = """async ([decision, advice]) => {
        const { recommend } = await import("/advice.js");
        const of = (breeds) => recommend([0.5, 0.5], { ...decision, breeds }, advice, async () => false);
        return Promise.all([[0], [0, 1]].map(of));
    }"""
    alone, both = scripts(script, [decision, advice])
    assert alone["reason"] == "It has a curly coat. Mild is mild."
    assert both["reason"] == "Mild is mild."
    assert [one["product"] for one in both["ruled_out"]] == ["b"]


def test_advice_of_an_unknown_pet_recommends_nothing_and_says_why(recommender):
    advice = describe(manifest(), MODEL, ["a.onnx"], recommender, scripts="").advice
    unknown = advice.recommendations[advice.unknown]
    assert unknown.product is None and unknown.sentences
