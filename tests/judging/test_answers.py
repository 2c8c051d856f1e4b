"""Answers on disk: durable line by line, what a crash leaves, what is refused."""

import os
import threading

import pytest

from genkit.errors import ConfigError, DataError
from genkit.judging.answers import COLUMNS, AnswerFile, check_name, read_answers
from genkit.judging.plan import Trial


def test_what_is_added_is_read(tmp_path):
    file = AnswerFile(tmp_path / "a.csv", "mark")
    assert file.add("ann", 0, Trial(3), "real", 1.25) == 1
    assert file.add("ann", 1, Trial(3, 4), "left", 0.5) == 2
    assert file.add("ann", 0, Trial(3), "fake", 2.0) == 2  # taken back and answered again
    assert file.of("ann") == {0: "fake", 1: "left"}
    again = AnswerFile(tmp_path / "a.csv", "mark")
    assert again.counts == {"ann": 2}
    assert [(a.trial, a.left, a.right, a.answer) for a in read_answers(file.path)] == [
        (0, 3, None, "real"), (1, 3, 4, "left"), (0, 3, None, "fake")]  # fmt: skip


def test_every_answer_is_on_the_disk_before_it_is_confirmed(tmp_path, monkeypatch):
    flushed = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (flushed.append(os.fstat(number).st_size), fsync(number))[1])
    file = AnswerFile(tmp_path / "a.csv", "mark")
    for i in range(3):
        file.add("ann", i, Trial(i), "real", 1.0)
        assert flushed[-1] == file.path.stat().st_size


def test_a_line_that_a_crash_cut_off_says_nothing(tmp_path):
    path = tmp_path / "a.csv"
    AnswerFile(path, "mark").add("ann", 0, Trial(3), "real", 1.0)
    whole = path.read_bytes()
    for cut in range(len(",".join(COLUMNS)) + 1, len(whole)):
        path.write_bytes(whole[:cut])
        assert read_answers(path) == []
        again = AnswerFile(path, "mark")
        again.add("ann", 0, Trial(3), "fake", 1.0)
        assert [answer.answer for answer in read_answers(path)] == ["fake"]


def test_several_raters_at_once(tmp_path):
    file = AnswerFile(tmp_path / "a.csv", "mark")

    def rate(name):
        for i in range(20):
            file.add(name, i, Trial(i), "real", 1.0)

    threads = [threading.Thread(target=rate, args=(name,)) for name in ("ann", "bob", "cy")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert file.counts == {"ann": 20, "bob": 20, "cy": 20}
    assert len(read_answers(file.path)) == 60


@pytest.mark.parametrize("text", ["", "a,b\n", "{}\n", f"{','.join(COLUMNS)}\nm,ann,x,1,,real,1.0\n",
                                  f"{','.join(COLUMNS)}\nm,ann,0,1,,maybe,1.0\n",
                                  f"{','.join(COLUMNS)}\nm,=cmd,0,1,,real,1.0\n",
                                  f"{','.join(COLUMNS)}\nm,ann,0,1,,real,1.0,more\n"], ids=range(7))  # fmt: skip
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=r"a\.csv"):
        read_answers(path)


def test_answers_of_another_study(tmp_path):
    AnswerFile(tmp_path / "a.csv", "one").add("ann", 0, Trial(3), "real", 1.0)
    with pytest.raises(DataError, match="another study"):
        AnswerFile(tmp_path / "a.csv", "two")


@pytest.mark.parametrize("name", ["", " ", "=1+1", "a,b", "a\nb", "x" * 41, "<b>", "../x"])
def test_names(name):
    with pytest.raises(ConfigError, match="rater"):
        check_name(name)
    assert check_name(" Ann-Lee 2 ") == "Ann-Lee 2"
