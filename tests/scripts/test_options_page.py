"""docs/options.md lists the options that the program has, in its words."""

from pathlib import Path

from incite_lab import command_line
from incite_lab.paths import DOCS


def test_the_page_of_options_is_what_the_program_says(binary: Path, tmp_path: Path) -> None:
    command_line.main(["options-page", "--binary", str(binary), "--out", str(tmp_path / "options.md")])
    page = (tmp_path / "options.md").read_text()
    assert page == (DOCS / "options.md").read_text(), "run incite-lab options-page"
    assert "| `--held-out SHARE` | 0.2 | Share of --data to evaluate on if there is no --test, above 0 and below 1 |" in page
    assert page.count("| `-d,--data FILE.npz` | required |") == 3  # compose does not need it
