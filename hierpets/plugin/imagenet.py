"""The breeds among the classes of ImageNet-1k, for backbones that were pretrained on it.

Breeds that Oxford-IIIT Pet has as well are labeled as it labels them.

Source: the names of the classes, as in ``timm.data.ImageNetInfo().index_to_description``.
"""

from __future__ import annotations

from hierpets.plugin import PretrainedBreed

__all__ = ["BREEDS"]


def _cat(label: str, *synonyms: str) -> tuple[PretrainedBreed, ...]:
    return (PretrainedBreed("cat", label, synonyms),)


def _dog(label: str, *synonyms: str) -> tuple[PretrainedBreed, ...]:
    return (PretrainedBreed("dog", label, synonyms),)


# ImageNet has two classes, by coat, for a cat of no particular breed.
_DOMESTIC_CAT = _cat("domestic_cat", "tabby", "tabby_cat", "tiger_cat", "domestic_shorthair", "house_cat")

BREEDS: dict[int, tuple[PretrainedBreed, ...]] = {
    151: _dog("chihuahua"),
    152: _dog("japanese_chin", "japanese_spaniel"),
    153: _dog("maltese", "maltese_dog", "maltese_terrier", "bichon_maltese"),
    154: _dog("pekingese", "pekinese", "peke"),
    155: _dog("shih_tzu", "shihtzu"),
    # Blenheim is a color of two breeds; the Cavalier is by far the more common one.
    156: _dog("blenheim_spaniel", "cavalier_king_charles_spaniel", "cavalier"),
    157: _dog("papillon", "continental_toy_spaniel"),
    158: _dog("toy_terrier"),  # several breeds
    159: _dog("rhodesian_ridgeback", "ridgeback"),
    160: _dog("afghan_hound", "afghan"),
    161: _dog("basset_hound", "basset"),
    162: _dog("beagle"),
    163: _dog("bloodhound", "sleuthhound", "saint_hubert_hound"),
    164: _dog("bluetick_coonhound", "bluetick"),
    165: _dog("black_and_tan_coonhound"),
    166: _dog("treeing_walker_coonhound", "walker_hound", "walker_foxhound"),
    167: _dog("english_foxhound"),
    168: _dog("redbone_coonhound", "redbone"),
    169: _dog("borzoi", "russian_wolfhound"),
    170: _dog("irish_wolfhound"),
    171: _dog("italian_greyhound", "italian_sighthound"),
    172: _dog("whippet"),
    173: _dog("ibizan_hound", "ibizan_podenco", "podenco_ibicenco"),
    174: _dog("norwegian_elkhound", "elkhound"),
    175: _dog("otterhound", "otter_hound"),
    176: _dog("saluki", "gazelle_hound"),
    177: _dog("scottish_deerhound", "deerhound"),
    178: _dog("weimaraner"),
    179: _dog("staffordshire_bull_terrier", "staffordshire_bullterrier", "staffy"),
    # ImageNet does not tell these two apart.
    180: _dog("american_staffordshire_terrier", "staffordshire_terrier", "amstaff")
    + _dog("american_pit_bull_terrier", "pit_bull_terrier", "pit_bull"),
    181: _dog("bedlington_terrier", "bedlington"),
    182: _dog("border_terrier"),
    183: _dog("kerry_blue_terrier", "kerry_blue"),
    184: _dog("irish_terrier"),
    185: _dog("norfolk_terrier"),
    186: _dog("norwich_terrier"),
    187: _dog("yorkshire_terrier", "yorkie"),
    188: _dog("wire_fox_terrier", "wire_haired_fox_terrier", "wirehaired_fox_terrier", "fox_terrier_wire"),
    189: _dog("lakeland_terrier"),
    190: _dog("sealyham_terrier", "sealyham"),
    191: _dog("airedale_terrier", "airedale"),
    192: _dog("cairn_terrier", "cairn"),
    193: _dog("australian_terrier"),
    194: _dog("dandie_dinmont_terrier", "dandie_dinmont"),
    195: _dog("boston_terrier", "boston_bull"),
    196: _dog("miniature_schnauzer"),
    197: _dog("giant_schnauzer"),
    198: _dog("standard_schnauzer"),
    199: _dog("scottish_terrier", "scotch_terrier", "scottie"),
    200: _dog("tibetan_terrier", "chrysanthemum_dog"),
    201: _dog("silky_terrier", "australian_silky_terrier", "sydney_silky"),
    202: _dog("wheaten_terrier", "soft_coated_wheaten_terrier", "irish_soft_coated_wheaten_terrier"),
    203: _dog("west_highland_white_terrier", "westie"),
    204: _dog("lhasa_apso", "lhasa"),
    205: _dog("flat_coated_retriever", "flatcoated_retriever"),
    206: _dog("curly_coated_retriever", "curlycoated_retriever"),
    207: _dog("golden_retriever"),
    208: _dog("labrador_retriever", "labrador"),
    209: _dog("chesapeake_bay_retriever"),
    210: _dog("german_shorthaired", "german_shorthaired_pointer", "german_short_haired_pointer"),
    211: _dog("vizsla", "hungarian_pointer", "hungarian_vizsla"),
    212: _dog("english_setter"),
    213: _dog("irish_setter", "red_setter", "irish_red_setter"),
    214: _dog("gordon_setter"),
    215: _dog("brittany", "brittany_spaniel", "epagneul_breton"),
    216: _dog("clumber_spaniel", "clumber"),
    217: _dog("english_springer_spaniel", "english_springer"),
    218: _dog("welsh_springer_spaniel", "welsh_springer"),
    219: _dog("english_cocker_spaniel", "cocker_spaniel", "cocker"),
    220: _dog("sussex_spaniel"),
    221: _dog("irish_water_spaniel"),
    222: _dog("kuvasz"),
    223: _dog("schipperke"),
    224: _dog("groenendael", "belgian_sheepdog", "belgian_groenendael"),
    225: _dog("belgian_malinois", "malinois"),
    226: _dog("briard", "berger_de_brie"),
    227: _dog("australian_kelpie", "kelpie"),
    228: _dog("komondor"),
    229: _dog("old_english_sheepdog", "bobtail"),
    230: _dog("shetland_sheepdog", "shetland_sheep_dog", "shetland", "sheltie"),
    231: _dog("collie", "rough_collie", "smooth_collie"),
    232: _dog("border_collie"),
    233: _dog("bouvier_des_flandres", "bouviers_des_flandres"),
    234: _dog("rottweiler"),
    235: _dog("german_shepherd", "german_shepherd_dog", "german_police_dog", "alsatian"),
    236: _dog("doberman_pinscher", "doberman", "dobermann"),
    237: _dog("miniature_pinscher", "min_pin"),
    238: _dog("greater_swiss_mountain_dog"),
    239: _dog("bernese_mountain_dog", "bernese"),
    240: _dog("appenzeller_sennenhund", "appenzeller", "appenzell_mountain_dog"),
    241: _dog("entlebucher_mountain_dog", "entlebucher", "entlebucher_sennenhund"),
    242: _dog("boxer", "german_boxer"),
    243: _dog("bullmastiff", "bull_mastiff"),
    244: _dog("tibetan_mastiff"),
    245: _dog("french_bulldog", "frenchie"),
    246: _dog("great_dane", "german_mastiff"),
    247: _dog("saint_bernard", "st_bernard"),
    # ImageNet calls this one a husky too; most people mean the Siberian Husky.
    248: _dog("eskimo_dog", "canadian_eskimo_dog"),
    249: _dog("alaskan_malamute", "malamute", "malemute"),
    250: _dog("siberian_husky", "husky"),
    251: _dog("dalmatian", "coach_dog", "carriage_dog", "dalmation"),
    252: _dog("affenpinscher", "monkey_pinscher", "monkey_dog"),
    253: _dog("basenji"),
    254: _dog("pug", "pug_dog"),
    255: _dog("leonberger", "leonberg"),
    256: _dog("newfoundland", "newfoundland_dog"),
    257: _dog("great_pyrenees", "pyrenean_mountain_dog"),
    258: _dog("samoyed", "samoyede"),
    259: _dog("pomeranian"),
    260: _dog("chow_chow", "chow"),
    261: _dog("keeshond"),
    262: _dog("brussels_griffon", "brabancon_griffon", "griffon_bruxellois"),
    263: _dog("pembroke_welsh_corgi", "pembroke", "pembroke_corgi"),
    264: _dog("cardigan_welsh_corgi", "cardigan", "cardigan_corgi"),
    265: _dog("toy_poodle"),
    266: _dog("miniature_poodle"),
    267: _dog("standard_poodle"),
    268: _dog("mexican_hairless_dog", "mexican_hairless", "xoloitzcuintli", "xoloitzcuintle", "xolo"),
    281: _DOMESTIC_CAT,
    282: _DOMESTIC_CAT,
    283: _cat("persian", "persian_cat"),
    284: _cat("siamese", "siamese_cat"),
    285: _cat("egyptian_mau", "egyptian_cat"),
}
