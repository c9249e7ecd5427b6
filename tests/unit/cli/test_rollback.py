from __future__ import annotations

from pathlib import Path

import pytest

from quorate.cli import rollback
from quorate.cli.rollback import Asked
from quorate.cli.session import journal_folder


def asked(folder: Path, then: str | None, now: str) -> Asked:
    """Somebody whose cloud file says this now, and said that at run a1."""
    cloud_file = folder / "cloud.yaml"
    cloud_file.write_text(now)
    journal_folder(cloud_file).mkdir(parents=True)
    if then is not None:
        (journal_folder(cloud_file) / "20260131T120000-a1.cloud.yaml").write_text(then)
    return Asked(cloud_file, "", ())


def test_the_difference_is_shown_that_the_next_apply_would_do_again(tmp_path: Path) -> None:
    state, words = rollback._cloud_file(asked(tmp_path, "a: 1\n", "a: 2\n"), "a1", put=False)
    assert state == "differs"
    assert [line.strip() for line in words[1:-1]] == ["@@ -1 +1 @@", "-a: 1", "+a: 2"]
    assert (tmp_path / "cloud.yaml").read_text() == "a: 2\n"


def test_it_is_put_back_and_the_present_one_kept(tmp_path: Path) -> None:
    one = asked(tmp_path, "a: 1\n", "a: 2\n")
    assert rollback._cloud_file(one, "a1", put=True)[0] == "put back"
    assert (tmp_path / "cloud.yaml").read_text() == "a: 1\n"
    assert (tmp_path / "cloud.yaml.before-rollback").read_text() == "a: 2\n"
    assert rollback._cloud_file(one, "a1", put=True) == ("the same", [])


@pytest.mark.parametrize("standing", ["", "b2", "../../cloud"])
def test_where_no_copy_is_kept_that_is_said(tmp_path: Path, standing: str) -> None:
    state, (words,) = rollback._cloud_file(asked(tmp_path, "a: 1\n", "a: 2\n"), standing, put=True)
    assert state == "unknown"
    assert "no copy is kept" in words
    assert (tmp_path / "cloud.yaml").read_text() == "a: 2\n"
