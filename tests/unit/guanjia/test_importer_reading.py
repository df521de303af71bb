"""How an event log is read by its mapping, and what is kept of it between runs."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from guanjia.importer.journal import Journal, write_bad_rows
from guanjia.importer.log_rows import Log, read_log
from guanjia.importer.mapping import MappingFile, MappingUnusable, RowUnusable, read_mapping
from tests.support.imports import LOG, MAPPING


def read_mapping_text(folder: Path, text: str = MAPPING) -> MappingFile:
    file = folder / "mapping.toml"
    file.write_text(text, encoding="utf-8")
    return read_mapping(file)


def read_log_text(folder: Path, text: str = LOG) -> Log:
    file = folder / "log.csv"
    file.write_text(text, encoding="utf-8")
    return read_log(read_mapping_text(folder), file)


def test_rows_of_a_case_are_gathered_in_the_order_of_their_times(tmp_path: Path) -> None:
    case = next(case for case in read_log_text(tmp_path).cases if case.name == "A1")
    assert [required.goal.state for required in case.required_states] == [
        "reported", "on_site", "waiting", "completed", "on_site", "completed", "following_up",
    ]  # fmt: skip
    assert case.raised_at == datetime(2016, 3, 1, 0, 0, tzinfo=UTC)


def test_the_demand_says_what_the_first_row_says_and_leaves_out_the_unknown(tmp_path: Path) -> None:
    first, second, *_ = read_log_text(tmp_path).cases
    assert first.demand == {
        "property": "tower",
        "kind": "repair",
        "summary": "Incident A1",
        "priority": "urgent",
        "location": {"place": "boiler room"},
    }
    assert second.demand == {
        "property": "tower",
        "kind": "repair",
        "summary": "Incident A2",
        "priority": "normal",
    }


def test_a_bad_row_is_set_aside_with_its_number_and_reason_and_its_case_goes_on(tmp_path: Path) -> None:
    log = read_log_text(tmp_path)
    assert log.bad == {
        10: "changed is not a time",
        11: "changed is before opened",
        12: "state is a state that the mapping does not know",
        13: "opened is unknown",
        14: "4 cells where 6 are expected",
    }
    case = next(case for case in log.cases if case.name == "A2")
    assert [required.row for required in case.required_states] == [9, 15]


def test_a_mapping_that_reads_a_column_the_data_lack_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MappingUnusable, match="no column place"):
        read_log_text(tmp_path, LOG.replace("place", "spot", 1))


def test_a_mapping_with_an_unknown_word_is_refused_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(MappingUnusable, match="moments"):
        read_mapping_text(tmp_path, MAPPING.replace('at = "changed"', 'when = "changed"'))


def test_the_shortest_way_is_taken_between_two_states(tmp_path: Path) -> None:
    mapping = read_mapping_text(tmp_path)
    assert [move.action for move in mapping.find_moves("reported", "completed")] == [
        "assign", "accept", "arrive", "complete",
    ]  # fmt: skip
    assert [move.action for move in mapping.find_moves("waiting", "waiting")] == ["resume", "wait"]
    with pytest.raises(RowUnusable, match="no way from following_up to on_site"):
        mapping.find_moves("following_up", "on_site")


def test_a_pick_gives_the_same_text_the_same_person_every_time(tmp_path: Path) -> None:
    mapping = read_mapping_text(tmp_path)
    move = mapping.moves[0]
    picked = {mapping.fill_values(move.data, {"who": str(n), "number": "A"})["engineer"] for n in range(50)}
    assert picked == {"wang", "li"}
    assert mapping.fill_values(move.data, {"who": "7"}) == mapping.fill_values(move.data, {"who": "7"})


def test_the_journal_goes_on_after_a_line_that_a_kill_cut_off(tmp_path: Path) -> None:
    mapping, data, file = tmp_path / "m", tmp_path / "d", tmp_path / "out" / "journal"
    mapping.write_text("m")
    data.write_text("d")
    with Journal(file, mapping, data) as journal:
        journal.record_case("A1")
        journal.record_refusal(7, "too late", "on_site")
    with file.open("ab") as out:
        out.write(b'{"case":"A')
    with Journal(file, mapping, data) as journal:
        journal.record_case("A3")
    with Journal(file, mapping, data) as journal:
        assert journal.done == {"A1", "A3"}
        assert journal.reasons == {7: "too late"}


def test_a_journal_of_other_data_is_begun_anew(tmp_path: Path) -> None:
    mapping, data, file = tmp_path / "m", tmp_path / "d", tmp_path / "journal"
    mapping.write_text("m")
    data.write_text("d")
    with Journal(file, mapping, data) as journal:
        journal.record_case("A1")
    data.write_text("more")
    with Journal(file, mapping, data) as journal:
        assert journal.done == set()


def test_bad_rows_are_written_as_they_were(tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    write_bad_rows(file, ["a", "b"], {2: ["x, y", "?"], 3: ["z", ""]}, {3: "second", 2: "first"})
    assert file.read_text(encoding="utf-8").splitlines() == [
        "row,reason,a,b",
        '2,first,"x, y",?',
        "3,second,z,",
    ]
