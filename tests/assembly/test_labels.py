"""Runs are called after what was typed as data=, other people's data after their classes."""

from genkit.assembly.labels import dataset_name
from genkit.config.hydra.catalog import Catalog, load_yaml
from genkit.config.hydra.words import Words


def test_every_dataset_is_called_as_its_option():
    options = Catalog.of(Words()).options("data")
    assert {name: dataset_name(load_yaml(path)) for name, path in options.items()} == {name: name for name in options}
    assert dataset_name({"_target_": "mine.photos.HolidayPhotos"}) == "holidayphotos"
    assert dataset_name(None) == "data"
