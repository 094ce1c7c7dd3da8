"""A wrong setting names itself, and says what it must be."""

from pathlib import Path

import pytest

from infrastructure.settings import BadSettings, Settings, load_settings


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"BYLINE_{name.upper()}", raising=False)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("BYLINE_PORT", "http", "must be a whole number (it is 'http'), for example 8000."),
        ("BYLINE_PORT", "70000", "must be at most 65535 (it is '70000'), for example 8000."),
        ("BYLINE_API_PROCESSES", "0", "must be at least 1 (it is '0'), for example 1."),
        ("BYLINE_DB_POOL_WAIT_S", "0", "must be greater than 0 (it is '0'), for example 1.0."),
        ("BYLINE_REQUEST_TIMEOUT_S", "soon", "must be a number (it is 'soon'), for example 10.0."),
        ("BYLINE_SAMPLE", "perhaps", "must be true or false (it is 'perhaps'), for example true."),
        ("BYLINE_REGISTRATION", "ajar", "must be 'open' or 'closed' (it is 'ajar'), for example open."),
        ("BYLINE_CURRENCY", "euro", "must match ^[A-Z]{3}$ (it is 'euro'), for example EUR."),
        (
            "BYLINE_ADMIN_EMAIL",
            "ada",
            "cannot be used: It is not an email address (it is 'ada'), for example admin@example.com.",
        ),
    ],
)
def test_it_says_what_the_setting_must_be(name: str, value: str, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(BadSettings) as refusal:
        load_settings()

    assert str(refusal.value) == f"{name}: {problem}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BYLINE_DATABASE_URL", "mysql://byline:hush@localhost/byline"),
        ("BYLINE_REDIS_URL", "hush"),
        ("BYLINE_SECRET_KEY", "hush"),
        ("BYLINE_ADMIN_PASSWORD", "hush"),
    ],
)
def test_no_secret_is_repeated(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(BadSettings, match=f"^{name}: must ") as refusal:
        load_settings()

    assert "hush" not in str(refusal.value)


def test_every_wrong_setting_has_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BYLINE_PORT", "http")
    monkeypatch.setenv("BYLINE_CURRENCY", "euro")

    with pytest.raises(BadSettings) as refusal:
        load_settings()

    assert [problem.partition(":")[0] for problem in refusal.value.problems] == ["BYLINE_PORT", "BYLINE_CURRENCY"]


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BYLINE_PORT", "")

    assert load_settings().port is None


def test_a_settings_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"BYLINE_PORT=\xff\xfe")

    with pytest.raises(BadSettings, match=r"^\.env: cannot be read"):
        load_settings()
