"""Shell completion: plugins by kind, species and breeds of the model, breeds and products of the catalog.

Errors are ignored: if nothing can be read, there are no completions.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from hierpets.errors import HierpetsError

if TYPE_CHECKING:
    from hierpets.plugin.kinds import Kind
    from hierpets.taxonomy import Taxonomy

__all__ = ["BREED_NAME", "CATALOG_NAME", "LEAF_NAME", "PluginName"]


class PluginName(click.ParamType):
    """The name of a plugin; the command checks that it exists."""

    name = "name"

    def __init__(self, kind: Kind):
        self.kind = kind

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from hierpets.registry.loading import load_registry

        with suppress(HierpetsError):
            plugins = load_registry(ctx.params.get("registry")).of_kind(self.kind)
            return [CompletionItem(p.name, help=p.description) for p in plugins if p.name.startswith(incomplete)]
        return []


class LeafName(click.ParamType):
    """A species or SPECIES/BREED; the command checks that the model knows it."""

    name = "name"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from hierpets.bundle.layout import released_bundle
        from hierpets.bundle.manifest import read_manifest

        with suppress(HierpetsError):
            model = ctx.params.get("model")
            taxonomy = read_manifest(Path(model) if model else released_bundle()).taxonomy
            names = dict.fromkeys([*taxonomy.species, *self._breeds(taxonomy, incomplete)])
            return [CompletionItem(name) for name in names if name.startswith(incomplete)]
        return []

    def _breeds(self, taxonomy: Taxonomy, incomplete: str) -> list[str]:
        return [str(leaf) for leaf in taxonomy.leaves]


LEAF_NAME = LeafName()


class BreedName(LeafName):
    """A species, SPECIES/BREED, a breed alone, or a file of names."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        found = super().shell_complete(ctx, param, incomplete)
        return found or [CompletionItem(incomplete, type="file")]

    def _breeds(self, taxonomy: Taxonomy, incomplete: str) -> list[str]:
        if "/" in incomplete:
            return super()._breeds(taxonomy, incomplete)
        return [leaf.breed for leaf in taxonomy.leaves if leaf.breed]


BREED_NAME = BreedName()


class CatalogName(click.ParamType):
    """A breed or a product of the catalog; the command checks that it exists."""

    name = "name"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from hierpets.recommend.loading import load_catalog

        with suppress(HierpetsError):
            catalog = load_catalog(ctx.params.get("registry"))
            breeds = {breed: name for name, species in catalog.species.items() for breed in species.breeds}
            names = {**breeds, **{product.id: product.name for product in catalog.products.values()}}
            return [CompletionItem(name, help=text) for name, text in names.items() if name.startswith(incomplete)]
        return []


CATALOG_NAME = CatalogName()
