"""Alembic's configuration, made in code: it is the same in a checkout and in an installed wheel."""

from pathlib import Path

from alembic.config import Config


def alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", Path(__file__).parent.as_posix())
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return config
