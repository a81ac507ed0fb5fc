"""docs/options.md."""

from incite_lab.pages.options import row


def test_an_options_default_stands_after_its_last_equals_sign() -> None:
    assert row("--held-out SHARE=0.2", "Share") == ["`--held-out SHARE`", "0.2", "Share"]
    assert row("--modules each|all|NAME=LIST ...|FILE=each", "What") == ["`--modules each|all|NAME=LIST ...|FILE`", "each", "What"]


def test_an_equals_sign_in_a_value_is_no_default() -> None:
    assert row("--replace NAME=MODULE.pt ...", "Put") == ["`--replace NAME=MODULE.pt`", "", "Put"]
