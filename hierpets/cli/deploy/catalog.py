"""``hierpets catalog``: check and show coats, skin notes, ingredients and products."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hierpets.cli.completion import CATALOG_NAME
from hierpets.cli.options import GivenPath, registry_option
from hierpets.errors import ConfigError, did_you_mean
from hierpets.text import counted

if TYPE_CHECKING:
    from hierpets.recommend.catalog import Catalog, Product

__all__ = ["command"]


@click.group("catalog")
def command() -> None:
    """Check and show coats, skin notes, ingredients and products."""


@command.command("check", short_help="Find gaps and errors in the catalog.")
@registry_option
@click.option(
    "--model",
    type=GivenPath(),
    metavar="BUNDLE",
    help="Also check the breeds of this bundle.",
)
def check(registry: Path | None, model: Path | None) -> int:
    """Find breeds without a coat, products that suit no pet, undeclared hazards and rules that never fire.

    Each problem comes with file and line. The exit code is 1 if there is an error; warnings do not count.
    """
    from hierpets.recommend.check import check_catalog
    from hierpets.recommend.loading import read_catalog_files
    from hierpets.registry.loading import load_registry

    taxonomy = None
    if model is not None:
        from hierpets.bundle.manifest import read_manifest

        taxonomy = read_manifest(model).taxonomy
    files = read_catalog_files(registry)
    found = check_catalog(files, load_registry(registry), taxonomy)
    for problem in found:
        click.echo(f"{'error' if problem.is_error else 'warning'}: {problem.message}", err=problem.is_error)
    errors = sum(problem.is_error for problem in found)
    breeds = sum(len(species.breeds) for species in files.catalog.species.values())
    counts = {"breed": breeds, "ingredient": len(files.catalog.ingredients), "product": len(files.catalog.products)}
    summary = ", ".join(counted(n, what) for what, n in counts.items())
    click.echo(f"{summary}: {counted(errors, 'error')}, {counted(len(found) - errors, 'warning')}")
    return 1 if errors else 0


@command.command("show")
@click.argument("name", required=False, type=CATALOG_NAME)
@registry_option
def show(name: str | None, registry: Path | None) -> None:
    """Show breeds or a product by their NAME, or list them all."""
    from hierpets.messages.breeds import find_label
    from hierpets.recommend.loading import load_catalog

    catalog = load_catalog(registry)
    breeds = {f"{s}/{b}": (s, b) for s, species in catalog.species.items() for b in species.breeds}
    by_name: dict[str, list[tuple[str, str]]] = {full: [key] for full, key in breeds.items()}
    for key in breeds.values():
        by_name.setdefault(key[1], []).append(key)
    if name is None:
        lines = [
            *(_breed_line(catalog, *key) for key in breeds.values()),
            "",
            *map(_product_line, catalog.products.values()),
        ]
    elif (label := find_label(name, [*by_name, *catalog.products]) or name) in catalog.products:
        lines = list(_product(catalog, catalog.products[label]))
    elif label in by_name:
        lines = [line for key in by_name[label] for line in _breed(catalog, *key)]
    else:
        hint = did_you_mean(name, [*by_name, *catalog.products])
        raise ConfigError(f"no breed or product {name!r}{hint}; `hierpets catalog show` lists them")
    click.echo("\n".join(lines))


def _breed_line(catalog: Catalog, species: str, breed: str) -> str:
    own = catalog.species[species].breeds[breed]
    coats = " or ".join(dict.fromkeys(coat.type for coat in own.coat))
    return f"{f'{species}/{breed}':36} {coats:28} {', '.join(own.skin)}".rstrip()


def _product_line(product: Product) -> str:
    wanted = ", ".join((*product.suits.coats, *product.suits.skin)) or "every coat"
    return f"{product.id:20} {'/'.join(product.suits.species):8} {wanted}"


def _breed(catalog: Catalog, species: str, breed: str) -> Iterator[str]:
    own = catalog.species[species].breeds[breed]
    yield f"{catalog.breed_name(species, breed)} ({species})"
    for coat in own.coat:
        share = f"{coat.share:.0%} " if len(own.coat) > 1 else ""
        worn = f"{coat.length}, {coat.undercoat} undercoat, {coat.texture}, {coat.shedding} shedding"
        yield f"  coat     {share}{coat.type}: {worn}"
    for note in own.skin:
        yield f"  skin     {note}: {catalog.skin[note].means}"
    yield f"  sources  {', '.join(own.sources) or 'none given'}"


def _product(catalog: Catalog, product: Product) -> Iterator[str]:
    yield f"{catalog.brand} {product.name}, {product.price:.2f} {catalog.currency}: {product.claim}"
    for title, traits in (("suits", product.suits), ("avoid", product.avoid)):
        notes = [f"{key}: {', '.join(names)}" for key, names in traits.model_dump().items() if names]
        yield f"  {title:8} {'; '.join(notes) or 'nothing in particular'}"
    for species, why in catalog.hazards[product.id].items():
        yield f"  never    {species}: {why}"
    yield f"  contains {', '.join(product.contains)}"
