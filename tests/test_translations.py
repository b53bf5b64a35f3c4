"""Every text of the hosted pages is translated, and compiled without gettext's tools."""

import ast
import os
import re
from pathlib import Path

import polib
import pytest
from django.utils import translation

from config import translations
from config.money import NANO
from config.templatetags.hosted import money
from tests.environment import ROOT

SOURCE = ROOT / "locale" / "de" / "LC_MESSAGES" / "django.po"
PAGES = [ROOT / "templates" / folder for folder in ("wallet", "topup", "playground")]
TEMPLATES = [path for folder in PAGES for path in folder.rglob("*.html")]
CODE = [
    ROOT / "config" / "localized.py",
    ROOT / "config" / "pages.py",
    ROOT / "config" / "templatetags" / "hosted.py",
    ROOT / "paywalls" / "signin.py",
    *(ROOT / "paywalls" / "pages").glob("*.py"),
    ROOT / "ledger" / "pages.py",
    ROOT / "ledger" / "forms.py",
    ROOT / "ledger" / "payments" / "checkout.py",
]
CALLS = {"_", "N_", "gettext", "gettext_lazy", "ngettext"}


def _texts() -> set[str]:
    """What the pages show, by their sources."""
    found = set()
    for path in TEMPLATES:
        text = path.read_text()
        found |= {quoted[1] for quoted in re.findall(r"""{%\s*translate\s+(["'])(.+?)\1\s*%}""", text)}
        for block in re.findall(r"{%\s*blocktranslate[^%]*%}(.*?){%\s*endblocktranslate", text, re.DOTALL):
            found |= {
                re.sub(r"{{\s*(\w+)\s*}}", r"%(\1)s", part.strip())
                for part in re.split(r"{%\s*plural\s*%}", block)
            }
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
                found |= {
                    arg.value
                    for arg in node.args
                    if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
                }
    return found


def test_german_is_complete() -> None:
    entries = polib.pofile(str(SOURCE))
    known = {entry.msgid for entry in entries} | {entry.msgid_plural for entry in entries}
    assert _texts() - known == set()
    assert {entry.msgid for entry in entries} - _texts() == set(), "nobody shows these any more"
    assert entries.untranslated_entries() == entries.fuzzy_entries() == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_page_says_nothing_that_can_not_be_translated(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"{%\s*(block)?trans\s", text), "spell it translate: the test above looks for that"
    text = re.sub(r"{%\s*blocktranslate.*?endblocktranslate\s*%}", "", text, flags=re.DOTALL)
    text = re.sub(r"{% block width %}.*?{% endblock %}", "", text)
    text = re.sub(r"{%.*?%}|{{.*?}}", "", text, flags=re.DOTALL)
    spoken = re.findall(r'(?:aria-label|placeholder|title|alt)="([^"]*)"', text) + re.split(r"<[^>]*>", text)
    said = {part.strip() for part in spoken if re.search("[A-Za-z]", part)}
    assert said <= {"curl"}, "a name of a program is all that needs no translation"


def test_a_translation_keeps_its_placeholders() -> None:
    for entry in polib.pofile(str(SOURCE)):
        for text in [entry.msgstr, *entry.msgstr_plural.values()]:
            sources = [entry.msgid, entry.msgid_plural] if entry.msgid_plural else [entry.msgid]
            names = [sorted(re.findall(r"%\(\w+\)s", source)) for source in sources]
            assert not text or sorted(re.findall(r"%\(\w+\)s", text)) in names


def test_they_are_compiled_where_the_product_runs_and_again_when_they_change(tmp_path: Path) -> None:
    source = tmp_path / "locale" / "de" / "LC_MESSAGES" / "django.po"
    source.parent.mkdir(parents=True)
    source.write_text('msgid "one"\nmsgstr "eins"\n')
    translations.compile_all(tmp_path / "locale", tmp_path / "made")
    made = tmp_path / "made" / "de" / "LC_MESSAGES" / "django.mo"
    first = made.read_bytes()
    source.write_text('msgid "one"\nmsgstr "zwei"\n')
    later = made.stat().st_mtime + 10
    os.utime(source, (later, later))
    translations.compile_all(tmp_path / "locale", tmp_path / "made")
    assert made.read_bytes() != first
    assert list(made.parent.iterdir()) == [made]


@pytest.mark.parametrize(
    ("language", "nano", "text"),
    [
        ("en", 1_234 * NANO + 500_000_000, "$1,234.50"),
        ("en", -12_000, "-$0.000012"),
        ("de", 1_234 * NANO + 500_000_000, "1.234,50\xa0$"),
        ("de", -12_000, "-0,000012\xa0$"),
    ],
)
def test_money_is_written_as_the_language_does(language: str, nano: int, text: str) -> None:
    with translation.override(language):
        assert money(nano) == text
