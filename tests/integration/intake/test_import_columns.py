"""Names of columns and numbers of rows: told to whoever sent the file, and to nobody else."""

import json

from integration.intake.files import send
from integration.intake.world import World
from support import loglines


async def test_names_of_columns_go_to_the_sender_and_nowhere_else(world: World) -> None:
    file = "Код Особи,Що треба?,Canary Примітка [для нас],row_id\nк-1,food_parcel,x,r1\n"
    columns = ["Код Особи", "Що треба?", "Canary Примітка [для нас]"]
    with loglines.written("intake", level="debug") as lines:
        refused = await send(world, file, 422)
        assert refused["columns"] == columns
        without = await send(world, file.replace("row_id", "number"), 422)
        assert without["columns"] == ["***"] * 4
        mapping: dict[str, object] = {
            # As people copy them: capitals and blanks aside.
            "columns": {"код  особи": "client_code", columns[1]: "kind"},
            "ignore": [columns[2]],
            "constants": {"area": "UA80"},
        }
        tried = await send(world, file, mapping=json.dumps(mapping), dry_run="true")
    assert (tried["accepted"], tried["problems"]) == (1, [])
    assert lines.of("import.ended")
    assert "Canary" not in lines.text
    async with world.db.read() as conn:
        assert await conn.fetchval("SELECT count(*) FROM import_job") == 0
    metrics = await world.client.get("/metrics")
    assert "Canary" not in metrics.text


async def test_a_first_line_of_data_is_not_told(world: World) -> None:
    file = "Canary Name,+380501234567,food_parcel\nOther Name,+380507654321,food_parcel\n"
    refused = await send(world, file, 422)
    assert refused["columns"] == ["***"] * 3
    assert "Canary" not in json.dumps(refused)


async def test_a_row_is_told_by_the_number_that_a_spreadsheet_gives_it(world: World) -> None:
    head = "row_id,client_code,kind,area,note\n"
    file = head + '1,a,food_parcel,UA80,"one\ntwo\nthree"\n\n2,b,food_parcel,Kyiv,\n'
    done = await send(world, file, dry_run="true")
    assert done["problems"] == [{"line": 4, "column": "area", "rule": "not_an_area"}]


async def test_whom_a_kind_is_not_for_is_told_by_a_column(world: World) -> None:
    head = "row_id,client_code,kind,area,for_household,household_code,headcount,payee_mechanism"
    file = f"""{head},payee_name
1,a,medical_care,UA80,yes,h-1,,,
2,,food_parcel,UA80,,,12,,
3,b,equipment_center,UA80,,,,,
4,c,food_parcel,UA80,,,,cash,Canary
"""
    done = await send(world, file, dry_run="true")
    assert {each["rule"] for each in done["problems"]} == {"not_of_this_kind"}
    assert [(each["line"], each["column"]) for each in done["problems"]] == [
        (2, "for_household"), (3, "headcount"), (4, "kind"), (5, "payee_mechanism"),
    ]  # fmt: skip
