"""A table of keys says what a model holds."""

from typing import Annotated, Any, Literal

from pydantic import Field

from hierpets.config import TrainConfig
from hierpets.inference.record import PredictionRecord
from hierpets.validation.reference import field_table
from hierpets.validation.strict import StrictModel

Share = Annotated[float, Field(ge=0, le=1)]


class Inner(StrictModel):
    share: Share = Field(default=0.5, description="A share.")


class Outer(StrictModel):
    word: Literal["a", "b"] = Field(default="a", description="One of two.")
    pair: tuple[int, float | None] = Field(description="Two.")
    many: tuple[Inner, ...] = Field(default=(), description="Several.")
    named: dict[str, Inner] = Field(default={}, description="By name.")
    free: dict[str, Any] = Field(default={}, description="Anything.")
    some: tuple[Inner, ...] = Field(default=(Inner(share=0.2), Inner()), description="Some.")


def rows(table: str) -> dict[str, list[str]]:
    lines = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]
    return {key.strip("`"): cells for key, *cells in lines}


def test_field_table_names_every_key_with_its_type_and_meaning():
    assert rows(field_table(Outer)) == {
        "word": ["`a` or `b`", "One of two."],
        "pair": ["[integer, number or null]", "Two."],
        "many[]": ["list of object", "Several."],
        "many[].share": ["number", "A share."],
        "named.*": ["object of object", "By name; the same keys as above"],
        "free": ["object of anything", "Anything."],
        "some[]": ["list of object", "Some; the same keys as above"],
    }


def test_field_table_with_defaults_says_what_an_absent_key_means():
    found = rows(field_table(Outer, defaults=True))
    assert found["word"][1] == "`a`" and found["many[].share"][1] == "`0.5`" and found["many[]"][1] == "empty"
    assert found["pair"][1] == "" and found["some[]"][1] == '`{"share": 0.2}, {}`'


def test_field_table_covers_the_record_and_the_settings():
    assert rows(field_table(PredictionRecord))["top[].probability"][0] == "number"
    settings = rows(field_table(TrainConfig, defaults=True))
    assert settings["registry"][:2] == ["path or null", "null"]
    assert settings["finetune.epochs"][:2] == ["integer", "`8`"]
    assert settings["out"][:2] == ["path", "`runs/latest`"]
