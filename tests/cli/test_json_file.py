"""--json-file writes the document beside the table."""

import json

from conftest import DECOMPOSE, Cli


def test_the_document_is_written_beside_the_table(good: Cli) -> None:
    table = good.done(*DECOMPOSE, "--json-file", "result.json")
    assert "Mean compression" in table
    assert (good.folder / "result.json").read_bytes() == (good.folder / "out/decomposition.json").read_bytes()


def test_every_verb_writes_it(good: Cli) -> None:
    good.done(*DECOMPOSE)
    for words in (
        ("inspect", "model.pt", "--data", "data.npz"),
        ("evaluate", "out", "--data", "data.npz"),
        ("evaluate", "model.pt", "--data", "data.npz"),
        ("compose", "out", "--out", "whole.pt"),
    ):
        quiet = good.done(*words, "--quiet", "--json-file", f"{words[0]}/new.json")
        assert quiet == ""
        assert json.loads((good.folder / words[0] / "new.json").read_text())["schema"] == 1
        (good.folder / "whole.pt").unlink(missing_ok=True)
    printed = good.done("inspect", "model.pt", "--data", "data.npz", "--json", "--json-file", "again.json")
    assert (good.folder / "again.json").read_text() == printed


def test_a_file_that_cannot_be_written(good: Cli) -> None:
    (good.folder / "taken").mkdir()
    (good.folder / "taken/file").write_text("")
    result = good.run("inspect", "model.pt", "--data", "data.npz", "--json-file", "taken")
    assert result.code == 7
    assert result.out == ""
    folder = good.run("inspect", "model.pt", "--data", "data.npz", "--json-file", "new/")
    assert folder.code == 7
    assert "--json-file new/: not the name of a file; expected one such as result.json" in folder.err
