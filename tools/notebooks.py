"""Run the notebooks of examples/ and save their outputs, so that they can be read without running them.

python tools/notebooks.py [NAME ...]
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import nbclient
import nbformat

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "examples" / "notebooks"


def run(notebook: nbformat.NotebookNode, folder: Path) -> nbformat.NotebookNode:
    """Run all cells in a folder, with the hierpets of this checkout."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    resources = {"metadata": {"path": str(folder)}}
    client = nbclient.NotebookClient(notebook, timeout=600, coalesce_streams=True, resources=resources)
    client.execute(env=environment)
    return notebook


def clean_notebook(notebook: nbformat.NotebookNode, folder: Path) -> nbformat.NotebookNode:
    """Remove what differs from run to run and does not matter: the folder, times, warnings, versions."""
    notebook = nbformat.reads(nbformat.writes(notebook).replace(f"{folder}{os.sep}", ""), as_version=4)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


def main() -> None:
    """Run the notebooks that are named, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="name of a notebook; default: all")
    files = {path.stem: path for path in sorted(NOTEBOOKS.glob("*.ipynb"))}
    names = parser.parse_args().names
    if unknown := [name for name in names if name not in files]:
        parser.error(f"unknown name {', '.join(unknown)}; known: {', '.join(files)}")
    for name in names or files:
        file = files[name]
        with tempfile.TemporaryDirectory() as folder:
            notebook = run(nbformat.read(file, as_version=4), Path(folder))
        nbformat.write(clean_notebook(notebook, Path(folder)), file)


if __name__ == "__main__":
    main()
