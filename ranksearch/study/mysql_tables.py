"""Optuna's tables on MySQL and MariaDB, made fit for a study: 16 MB an attribute, all of Unicode, case told apart."""

import sqlalchemy
from optuna.storages._rdb import models

UNFIT = sqlalchemy.text(
    "SELECT DISTINCT table_name FROM information_schema.columns WHERE table_schema = DATABASE() "
    "AND (data_type = 'text' OR collation_name <> 'utf8mb4_bin')"
)


def make_fit(engine: sqlalchemy.Engine) -> None:
    """Widens the tables that the server's defaults have made narrow; the others are left alone.

    Optuna's TEXT ends at 64 KB, which the record of a deep network exceeds; a server's own collation may refuse
    letters, and takes the studies ``A`` and ``a`` for one.
    """
    with engine.begin() as connection:
        unfit = set(connection.execute(UNFIT).scalars())
        for table in models.BaseModel.metadata.sorted_tables:
            if table.name in unfit:
                wide = [f", MODIFY {c.name} MEDIUMTEXT" for c in table.columns if isinstance(c.type, sqlalchemy.Text)]
                change = f"ALTER TABLE {table.name} CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
                connection.execute(sqlalchemy.text(change + "".join(wide)))
