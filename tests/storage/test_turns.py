"""Turns: of several that want to make the same thing, one makes it and the others wait."""

from __future__ import annotations

import multiprocessing
import os
import threading
from pathlib import Path

from genkit.storage.turns import own_turn

FORK = multiprocessing.get_context("fork")


def test_one_is_inside_at_a_time(tmp_path: Path) -> None:
    inside, most, waited, all_wait = [], [], [], threading.Event()

    def wait(number: int) -> None:
        waited.append(number)
        if len(waited) == 3:
            all_wait.set()

    def work(number: int) -> None:
        with own_turn(tmp_path / "turns" / "x", lambda: wait(number)):
            inside.append(number)
            most.append(len(inside))
            all_wait.wait(60)  # the first one stays inside until the others have come
            inside.remove(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1, 1]
    assert len(waited) == len(set(waited)) == 3  # each said it once
    assert not list((tmp_path / "turns").iterdir())


def test_a_process_that_dies_gives_its_turn_back(tmp_path: Path) -> None:
    holds = FORK.Event()

    def die() -> None:
        with own_turn(tmp_path / "x", lambda: None):
            holds.set()
            os._exit(1)

    child = FORK.Process(target=die)
    child.start()
    assert holds.wait(20)
    child.join()
    with own_turn(tmp_path / "x", lambda: None):
        assert (tmp_path / "x").exists()
    assert not (tmp_path / "x").exists()
