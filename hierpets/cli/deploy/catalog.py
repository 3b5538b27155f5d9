"""``hierpets care``: check and show what is known of coats, ingredients and products."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hierpets.cli.options import registry_option
from hierpets.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from hierpets.recommend.catalog import Catalog, Product

__all__ = ["command"]


@click.group("care")
def command() -> None:
    """Check and show coats, skin notes, ingredients and products."""


@command.command("check")
@registry_option
@click.option("--model", type=click.Path(path_type=Path), metavar="BUNDLE", help="Also check each breed of a bundle.")
def check(registry: Path | None, model: Path | None) -> int:
    """Find a breed with no coat, a product that suits nobody, a hazard not declared, a rule that never fires.

    Everything is reported as file:line. The exit code is 1 if there is an error; warnings do not count.
    """
    from hierpets.recommend.check import check_catalog
    from hierpets.recommend.loading import read_catalog_files
    from hierpets.registry.loading import load_registry

    taxonomy = None
    if model is not None:
        from hierpets.model.manifest import read_manifest

        taxonomy = read_manifest(model).taxonomy
    files = read_catalog_files(registry)
    found = check_catalog(files, load_registry(registry), taxonomy)
    for finding in found:
        click.echo(f"{'error' if finding.is_error else 'warning'}: {finding.message}", err=finding.is_error)
    errors = sum(finding.is_error for finding in found)
    breeds = sum(len(species.breeds) for species in files.care.species.values())
    summary = f"{breeds} breeds, {len(files.care.ingredients)} ingredients, {len(files.care.products)} products"
    click.echo(f"{summary}: {errors} errors, {len(found) - errors} warnings")
    return 1 if errors else 0


@command.command("show")
@click.argument("name", required=False)
@registry_option
def show(name: str | None, registry: Path | None) -> None:
    """Show a breed or a product by its NAME, or list them all."""
    from hierpets.recommend.loading import load_catalog

    care = load_catalog(registry)
    breeds = {f"{s}/{b}": (s, b) for s, species in care.species.items() for b in species.breeds}
    by_name = {**{b: key for key in breeds.values() for b in key[1:]}, **breeds}
    if name is None:
        lines = [*(_breed_line(care, *key) for key in breeds.values()), "", *map(_product_line, care.products.values())]
    elif name in care.products:
        lines = list(_product(care, care.products[name]))
    elif name in by_name:
        lines = list(_breed(care, *by_name[name]))
    else:
        hint = did_you_mean(name, [*by_name, *care.products])
        raise ConfigError(f"no breed or product {name!r}{hint}; `hierpets care show` lists them")
    click.echo("\n".join(lines))


def _breed_line(care: Catalog, species: str, breed: str) -> str:
    own = care.species[species].breeds[breed]
    coats = " or ".join(dict.fromkeys(coat.type for coat in own.coat))
    return f"{f'{species}/{breed}':36} {coats:28} {', '.join(own.skin)}".rstrip()


def _product_line(product: Product) -> str:
    wanted = ", ".join((*product.suits.coats, *product.suits.skin)) or "every coat"
    return f"{product.id:20} {'/'.join(product.suits.species):8} {wanted}"


def _breed(care: Catalog, species: str, breed: str) -> Iterator[str]:
    own = care.species[species].breeds[breed]
    yield f"{care.breed_name(species, breed)} ({species})"
    for coat in own.coat:
        share = f"{coat.share:.0%} " if len(own.coat) > 1 else ""
        worn = f"{coat.length}, {coat.undercoat} undercoat, {coat.texture}, {coat.shedding} shedding"
        yield f"  coat     {share}{coat.type}: {worn}"
    for note in own.skin:
        yield f"  skin     {note}: {care.skin[note].means}"
    yield f"  sources  {', '.join(own.sources) or 'none given'}"


def _product(care: Catalog, product: Product) -> Iterator[str]:
    yield f"{care.brand} {product.name}, {product.price:.2f} {care.currency}: {product.claim}"
    for title, traits in (("suits", product.suits), ("avoid", product.avoid)):
        said = [f"{key}: {', '.join(names)}" for key, names in traits.model_dump().items() if names]
        yield f"  {title:8} {'; '.join(said) or 'nothing in particular'}"
    for species, why in care.hazards[product.id].items():
        yield f"  never    {species}: {why}"
    yield f"  contains {', '.join(product.contains)}"
