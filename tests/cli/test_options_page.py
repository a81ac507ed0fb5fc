"""docs/options.md is what the program's help says."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_of_options_is_what_the_program_says(binary: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "options_page.py"), "--binary", str(binary), "--out", str(tmp_path / "options.md")]
    subprocess.run(command, check=True)
    page = (tmp_path / "options.md").read_text()
    assert page == (ROOT / "docs" / "options.md").read_text(), "run scripts/options_page.py"
    assert "| `--held-out SHARE` | 0.2 | Share of --data to evaluate on if there is no --test, above 0 and below 1 |" in page
    assert page.count("| `-d,--data FILE.npz` | required |") == 3  # compose does not need it
