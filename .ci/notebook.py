"""Run a notebook from its first cell to its last and keep the outputs: python .ci/notebook.py NOTEBOOK.

It runs in an emptied build/notebook, so that it leaves nothing beside the notebook. Progress on stderr and times are
left out of what is kept: equal code keeps equal outputs, apart from what the code itself measures.
"""

import shutil
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

_SECONDS = 600  # for one cell


def main(path: Path) -> None:
    """Run the notebook; an error in a cell ends the program with its traceback."""
    notebook = nbformat.read(path, as_version=4)
    place = Path("build/notebook")
    shutil.rmtree(place, ignore_errors=True)  # what an earlier run built and trained would be kept
    place.mkdir(parents=True)
    client = NotebookClient(
        notebook, timeout=_SECONDS, kernel_name="python3", record_timing=False, resources={"metadata": {"path": place}}
    )
    client.execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    nbformat.write(notebook, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
