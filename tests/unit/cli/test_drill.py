from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from quorate.cli.drill_run import parsed
from quorate.cli.drill_runs import Runs, keep_result, kept_result, read, write_pages
from quorate.cli.main import quorate
from quorate.core.record import encode, operation_line
from quorate.errors import InvalidInput
from quorate.faults import DEFAULTS
from records import header, lines, record

MINIMAL = Path(__file__).parents[3] / "examples" / "minimal.yaml"


@pytest.fixture
def cloud(tmp_path: Path) -> Path:
    """A cloud that is no lab of this host, with its secrets."""
    shutil.copy(MINIMAL, tmp_path / "cloud.yaml")
    secrets = {"fencing": {f"controller{number}": "geheim" for number in (1, 2, 3)}}
    (tmp_path / "secrets.yaml").write_text(json.dumps(secrets))
    (tmp_path / "secrets.yaml").chmod(0o600)
    assert run(tmp_path / "cloud.yaml", "init", "--help").exit_code == 0
    from quorate.cli import files  # noqa: PLC0415

    files.ensure_secrets(tmp_path / "cloud.yaml", *files.load_cloud(tmp_path / "cloud.yaml"))
    return tmp_path / "cloud.yaml"


def run(cloud: Path, *words: str) -> Result:
    del cloud
    return CliRunner().invoke(quorate, words)


def kept(cloud: Path, name: str = "20260131T120000-abcdef") -> Path:
    """A run on disk."""
    told = record(header=header(run=name))
    path = Runs.of(cloud).folder / name / "record.jsonl"
    path.parent.mkdir(parents=True)
    first, *rest = lines(told)
    operations = [operation_line(by, one) for by, history in told.operations.items() for one in history]
    path.write_text("".join([encode(first), *operations, *map(encode, rest)]))
    return path


def test_a_fault_may_have_settings() -> None:
    assert parsed("power-cut") == ("power-cut", DEFAULTS)
    name, settings = parsed("power-cut:hold=30,memory=1024")
    assert (name, settings.hold, settings.memory, settings.slack) == ("power-cut", 30.0, 1024, DEFAULTS.slack)


@pytest.mark.parametrize("text", ["x:hold", "x:hold=soon", "x:speed=1", "x:hold=-1", "x:hold=1;y=2", "x:hold=nan"])
def test_a_setting_that_is_none_is_named(text: str) -> None:
    with pytest.raises(InvalidInput, match="is no setting"):
        parsed(text)


def test_everything_that_can_be_done_is_listed_with_what_cannot_be_and_why(cloud: Path) -> None:
    listed = run(cloud, "drill", "list", "--cloud", str(cloud), "--output", "json")
    assert listed.exit_code == 0, listed.output
    rows = {row["drill"]: row for row in json.loads(listed.stdout)}
    assert {"power-cut", "silent-cut", "database-killed", "cache-frozen", "disk-full", "standby"} <= set(rows)
    assert rows["power-cut"]["whom"] == "virtual-ip"
    assert "lab" in rows["machine-frozen"]["remark"]
    assert "survive" in rows["all-at-once"]["remark"]


def test_a_cloud_that_is_no_lab_is_not_broken_unless_it_is_named(cloud: Path) -> None:
    for words in (("power-cut",), ("power-cut", "--yes-break", "other")):
        refused = run(cloud, "drill", *words, "--cloud", str(cloud))
        assert refused.exit_code == 3
        assert "--yes-break example" in refused.output


@pytest.mark.parametrize("words", [("drill", "run"), ("drill", "--repeat", "0", "power-cut"), ("drill", "--bogus")])
def test_words_that_make_no_drill_are_refused(words: tuple[str, ...]) -> None:
    assert CliRunner().invoke(quorate, words).exit_code == 2


def test_the_help_teaches() -> None:
    for words in (("drill", "--help"), ("drill", "run", "--help"), ("drill", "judge", "--help")):
        shown = CliRunner().invoke(quorate, words)
        assert shown.exit_code == 0
        assert "Usage: quorate drill" in shown.output


def test_a_run_is_found_by_its_name_its_beginning_and_as_the_last(cloud: Path) -> None:
    first, second = kept(cloud), kept(cloud, "20260201T120000-000000")
    runs = Runs.of(cloud)
    assert runs.find(["last", "202601", second.parent.name, str(first)]) == [second, first, second, first]
    for name, why in (("2026", "2 runs begin with"), ("1999", "there is no run")):
        with pytest.raises(InvalidInput, match=why):
            runs.find([name])


def test_an_old_record_is_judged_again_and_compared(cloud: Path) -> None:
    path = kept(cloud)
    keep_result(path, read(path).result)
    again = run(cloud, "drill", "judge", "last", "--cloud", str(cloud), "--output", "json")
    assert again.exit_code == 0, again.output
    assert "the same as that of then" in again.output
    assert json.loads(again.stdout)["level"] == "ok"
    before = kept_result(path)
    assert before is not None
    keep_result(path, before.model_copy(update={"lost": 7}))
    assert "ANOTHER" in run(cloud, "drill", "judge", "last", "--cloud", str(cloud)).output


def test_a_file_that_is_no_record_is_named_with_its_line(cloud: Path) -> None:
    path = kept(cloud)
    path.write_text(path.read_text().replace('"inject"', '"injct"', 1))
    bad = run(cloud, "drill", "judge", "last", "--cloud", str(cloud))
    assert bad.exit_code == 2
    assert "record.jsonl:" in bad.output


def test_a_report_is_one_page_or_one_that_leads_to_others(cloud: Path, tmp_path: Path) -> None:
    kept(cloud), kept(cloud, "20260201T120000-000000")
    page = tmp_path / "page.html"
    shown = run(cloud, "drill", "report", "--cloud", str(cloud), "-o", str(page))
    assert shown.exit_code == 0, shown.output
    assert "database_write" in shown.output
    assert "<svg" in page.read_text()
    write_pages(page, Runs.of(cloud).find(["202601", "202602"]))
    assert len(list(tmp_path.glob("page-*.html"))) == 2
    table = run(cloud, "drill", "report", "202601", "202602", "--markdown", "--cloud", str(cloud))
    assert "| power-cut" in table.output


def test_there_is_nothing_to_report_before_the_first_drill(cloud: Path) -> None:
    none = run(cloud, "drill", "report", "--cloud", str(cloud))
    assert none.exit_code == 2
    assert "`quorate drill NAME` makes one" in none.output
