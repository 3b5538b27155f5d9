"""Import other names of breeds from the Vertebrate Breed Ontology, and compare its names with ours.

    git clone https://github.com/monarch-initiative/vertebrate-breed-ontology
    git -C vertebrate-breed-ontology checkout e374007   # the last commit with tables
    python tools/breed_names.py vertebrate-breed-ontology

It writes hierpets/messages/vbo.yaml for the identifiers in hierpets/messages/breeds.yaml, and prints how many of the
names in breeds.yaml are in the ontology, too. Exit code 1: an identifier is unknown or obsolete, or its term has no
name in common with our breed.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from hierpets.files import write_file  # noqa: E402
from hierpets.messages.breeds import VBO, Names, plain, read_names  # noqa: E402

TABLES = ("catbreeds.tsv", "dogbreeds.tsv")
HEADER = """\
# Written by tools/breed_names.py from the Vertebrate Breed Ontology of the Monarch Initiative and OMIA (CC BY 4.0,
# https://obofoundry.org/ontology/vbo): its names of the breeds in breeds.yaml that are not there, in any language,
# without short ones and those that another breed has too.
"""
PROPER = re.compile(r"(?!.*unspecified)[^\W\d_](?:[^\W\d_' .-]|['. -](?=[^\W\d_])){5,}")
"""A name of at least six letters, and none like "Terrier - Border" or "Schnauzer, Standard"."""
Ours = Mapping[tuple[str, str | None], Names]


def main() -> int:
    """Write the names, or print the wrong identifiers if there are any."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ontology", type=Path, help="the folder of the cloned repository")
    components = parser.parse_args().ontology / "src/ontology/components"
    theirs = {term: names for table in TABLES for term, names in read_table(components / table)}
    ours = {key: names for key, names in read_names().items() if names.vbo}
    wrong = [
        f"{names.vbo} of {breed} names nothing of ours"
        for (_, breed), names in ours.items()
        if not shared(names, theirs)
    ]
    if wrong:
        print("\n".join(wrong), file=sys.stderr)
        return 1
    write_file(
        VBO,
        HEADER + yaml.safe_dump(further_names(ours, theirs), allow_unicode=True, width=120, default_flow_style=None),
    )
    print_shared(ours, theirs)
    return 0


def read_table(path: Path) -> Iterator[tuple[str, set[str]]]:
    """Yield the identifier and the names of every term that is not obsolete."""
    csv.field_size_limit(10**7)
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t")
        columns, _ = next(rows), next(rows)  # two header lines: for people, and for the tool ROBOT
        found: dict[str, set[str]] = {}
        for row in rows:
            cells = [*zip(columns, row, strict=False)]
            if ("obsolete", "true") not in cells:
                found.setdefault(row[0], set()).update(value for column, value in cells if value and is_name(column))
    yield from found.items()


def is_name(column: str) -> bool:
    """Whether a column holds a name of the breed."""
    return column in ("most_common_name", "breed_name_to_be_used_for_label") or (
        column.startswith("synonym_") and "type" not in column and "label" not in column
    )


def shared(names: Names, theirs: Mapping[str, set[str]]) -> set[str]:
    """Return the plain names of a breed that both sources have."""
    return {plain(name) for name in theirs.get(names.vbo or "", ())} & {plain(name) for name in names.own}


def further_names(ours: Ours, theirs: Mapping[str, set[str]]) -> dict[str, list[str]]:
    """Return the new names by identifier, without those that another breed has, too, whether listed here or not."""
    owners = Counter(name for names in theirs.values() for name in {plain(name) for name in names})
    listed = {plain(name) for names in read_names().values() for name in names.own}
    new: dict[str, list[str]] = {}
    for names in ours.values():
        named = {plain(name): name for name in sorted(theirs[names.vbo or ""]) if PROPER.fullmatch(name)}
        new[names.vbo or ""] = [name for key, name in named.items() if owners[key] == 1 and key not in listed]
    return {term: names for term, names in sorted(new.items()) if names}


def print_shared(ours: Ours, theirs: Mapping[str, set[str]]) -> None:
    """Print for each language how many breeds have a usual name that is in the ontology."""
    for language in next(iter(ours.values())).names:
        usual = [(plain(names.names[language][0]), names) for names in ours.values() if language in names.names]
        both = sum(name in shared(names, theirs) for name, names in usual)
        print(f"{language}: the usual name of {both} of {len(usual)} breeds is one of the ontology's")


if __name__ == "__main__":
    sys.exit(main())
