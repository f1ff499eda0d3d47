"""PostGIS for the benches: the machine's own PostgreSQL where it has the extension, its data in a temporary folder.

The wheel that the tests take PostgreSQL from has no PostGIS. Debian has it as `postgresql-15-postgis-3`. Where there is
none, the bench says so and goes without.
"""

from pathlib import Path
from typing import Any, Final

import asyncpg
import numpy as np
import shapely

from bench.places import CODES, Asked, Places
from tests.postgres_server import PostgresServer

NEEDS: Final = "PostGIS is left out: no PostgreSQL with it was found; on Debian, `apt install postgresql-15-postgis-3`"
SETTINGS: Final = ("shared_buffers=1GB", "work_mem=64MB", "maintenance_work_mem=512MB", "jit=off")
NEAR: Final = """
    SELECT id, ST_Distance(place, $1::geometry) FROM workplace
    WHERE ST_DWithin(place, $1::geometry, $2)
      AND (get_bit($3::bytea, first) = 1 OR get_bit($3::bytea, second) = 1 OR get_bit($3::bytea, third) = 1)
"""
"""Codes as bits, so that asking for many costs what asking for one does."""


def programs() -> Path | None:
    """Where a PostgreSQL with PostGIS has its programs."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        version = folder.parent.name
        if Path(f"/usr/share/postgresql/{version}/extension/postgis.control").exists():
            return folder
    return None


class PostGis:
    """A table of workplaces with a GiST index, in the order of the index, and one prepared statement."""

    def __init__(self, where: Path) -> None:
        self._server = PostgresServer(programs=where, settings=SETTINGS).start()
        self._connection: Any = None
        self._statement: Any = None
        self.version = ""

    async def load(self, known: Places) -> None:
        """Fills the table and prepares the question."""
        address = self._server.create_database("bench").replace("+asyncpg", "")
        self._connection = connection = await asyncpg.connect(address)
        await connection.execute("CREATE EXTENSION postgis")
        self.version = await connection.fetchval("SELECT postgis_lib_version()")
        await connection.execute(
            "CREATE UNLOGGED TABLE workplace (id int, first int2, second int2, third int2, x float8, y float8)"
        )
        rows = zip(range(len(known.x)), *known.codes.tolist(), known.x.tolist(), known.y.tolist(), strict=True)
        await connection.copy_records_to_table("workplace", records=rows)
        await connection.execute(
            """
            ALTER TABLE workplace ADD place geometry(Point, 3006);
            UPDATE workplace SET place = ST_SetSRID(ST_MakePoint(x, y), 3006);
            ALTER TABLE workplace DROP x, DROP y;
            CREATE INDEX near ON workplace USING gist (place);
            CLUSTER workplace USING near;
            ANALYZE workplace;
            """
        )
        await connection.execute("VACUUM workplace")
        await connection.set_type_codec("geometry", schema="public", format="binary", encoder=bytes, decoder=bytes)
        self._statement = await connection.prepare(NEAR)

    async def near(self, asked: Asked, reach: float) -> Any:
        """Ids and distances."""
        wanted = np.array([*np.ones(len(CODES), dtype=bool), False]) if asked.wanted is None else asked.wanted
        place = shapely.set_srid(asked.part.metric, 3006)
        bits = np.packbits(wanted, bitorder="little").tobytes()
        return await self._statement.fetch(shapely.to_wkb(place, include_srid=True), reach, bits)

    async def stop(self) -> None:
        """Ends the server."""
        if self._connection is not None:
            await self._connection.close()
        self._server.stop()
