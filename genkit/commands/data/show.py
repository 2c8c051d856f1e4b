"""`genkit data show data=…`: what a dataset holds, before a model learns it.

Printed: shape and values, splits, classes, moments, equal and similar examples, what was left out. Written: a contact
sheet and all of it as `data.json`.
"""

from __future__ import annotations

import json
from pathlib import Path

from genkit import __version__
from genkit.assembly.closing_lines import close, next_command
from genkit.assembly.command_line import command_line, data_words
from genkit.assembly.labels import data_in_words, dataset_name
from genkit.assembly.output_folder import check_out, make_out
from genkit.config.build import build
from genkit.config.settings import ShowDataSettings
from genkit.data.dataset import Dataset
from genkit.data.inspection.inspection import Inspection, inspect
from genkit.printing import shown
from genkit.report.console import make_console
from genkit.report.contact_sheet import save_contact_sheet
from genkit.report.data_text import lines
from genkit.storage.atomic import whole_file

SCHEMA = "genkit.data-report/1"
SHEET, FACTS = "contact_sheet.png", "data.json"


def run(settings: ShowDataSettings) -> None:
    """Print and write what there is to know; raises what building the dataset raises."""
    console = make_console()
    check_out(settings.out)
    dataset: Dataset = build(settings.data, at="data", expect=Dataset, plugins=tuple(settings.plugins))
    found = inspect(dataset, settings.near)
    for line in lines(found):
        console.print(line, soft_wrap=True)
    name = dataset_name(settings.data)

    def fill(folder: Path) -> None:
        save_contact_sheet(folder / SHEET, dataset, settings.seed, f"{data_in_words(settings.data)}: training examples")
        _write(folder / FACTS, found, settings)

    folder = make_out(settings.out, "data", name, fill)
    made = {"picture": folder / SHEET, "facts": folder / FACTS}
    train = next_command(settings.plugins, "train", *data_words())
    close(console, f"{name}: {shown(folder)}", made, [train])


def _write(path: Path, found: Inspection, settings: ShowDataSettings) -> None:
    facts = {
        "schema": SCHEMA,
        "genkit": __version__,
        "command": command_line(),
        "data": settings.config["data"],
        **found.to_json(),
    }
    with whole_file(path) as file:
        file.write(f"{json.dumps(facts, indent=1, allow_nan=False, ensure_ascii=False)}\n".encode())
