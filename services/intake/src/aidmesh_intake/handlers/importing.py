"""Bulk import: a file is a job, committed by chunk, that goes on where it was cut off."""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID, uuid4

import asyncpg

from aidmesh_chassis.db import Database, Tx, clock
from aidmesh_chassis.errors import CONTENTION
from aidmesh_chassis.problems import IN_PROGRESS, NOT_FOUND, Problem, retry_after
from aidmesh_contracts.days import day_of
from aidmesh_intake.domain.asks import AskError
from aidmesh_intake.domain.drafts import Draft, PersonDraft
from aidmesh_intake.domain.rows import ImportRow, RowError, parse_row
from aidmesh_intake.handlers.identifying import HOUSEHOLD_CODE, PERSON_CODE
from aidmesh_intake.handlers.import_drafts import column_of, draft_row
from aidmesh_intake.handlers.import_report import Chunk, Report, report_of
from aidmesh_intake.handlers.registering import register_fitting
from aidmesh_intake.store import imports as store
from aidmesh_intake.store.catalogue import Catalogue
from aidmesh_intake.vault import OpenVault

CHUNK_ROWS: Final = 500
TRIES_MAX: Final = 5
RETRY_S: Final = 5
OTHER_HOUSEHOLD: Final = ("household_code", "other_household")
RETRIED: Final[tuple[type[BaseException], ...]] = (
    *CONTENTION,
    asyncpg.UniqueViolationError,
)


@dataclass(frozen=True, slots=True)
class File:
    """A file that was read: rows by field name, each with its line.

    Attributes:
        content: what makes two files the same: all of it, and how it was mapped.
    """

    source: str
    rows: Sequence[tuple[int, dict[str, str]]]
    content: bytes


@dataclass(slots=True)
class Undone:
    """What the chunks of a dry run took in, though they were undone.

    Attributes:
        rows: what makes them the same, by what they are found by.
        homes: households by person, both by what their codes are found by.
    """

    rows: dict[bytes, bytes] = field(default_factory=dict)
    homes: dict[bytes, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Importer:
    """What an import works with."""

    database: Database
    catalogue: Catalogue
    vault: OpenVault
    staff_id: UUID

    async def dry_run(self, file: File, guard: Tx) -> Report:
        """Do everything and undo it: what would be accepted, rejected and why.

        Chunks do not see each other's persons and needs, which changes nothing about what is
        accepted, since it is remembered which rows there were and who was said to live where; but
        which of them limits would leave to a person may be others.

        Args:
            guard: an open transaction that holds the caller's locks; it is kept from idling.
        """
        report = Report(None, len(file.rows), state="dry_run")
        undone = Undone()
        for start in range(0, len(file.rows), CHUNK_ROWS):
            chunk = Chunk()
            try:
                async with self.database.transaction() as tx:
                    await self._take(tx, file, start, chunk, uuid4(), undone)
                    raise _UndoError  # noqa: TRY301 - rolling back is the point
            except _UndoError:
                report.add(chunk)
            await _keep(guard)
        return _ended(guard, report)

    async def run(self, file: File, guard: Tx) -> Report:
        """Take a file in, or go on with it where it was cut off.

        One that was taken in to its end is read anew: rows that were taken in are skipped, and
        those that were rejected are tried again, since why they were may have passed.

        Args:
            guard: an open transaction that holds the caller's locks, and the claim to the job,
                until all is done; the work itself has transactions of its own.

        Raises:
            Problem: the same file is being taken in right now.
        """
        async with self.database.transaction() as tx:
            job_id = await store.open_job(
                tx.conn,
                uuid4(),
                file.source,
                self.vault.content_hash(file.content),
                len(file.rows),
                self.staff_id,
            )
        if not await store.claim_job(guard.conn, job_id):
            raise retry_after(IN_PROGRESS, RETRY_S)
        by_state: Counter[str] = Counter()
        chunk = await self._next(file, job_id, anew=True)
        while chunk is not None:
            by_state.update(chunk.by_state)
            await _keep(guard)
            chunk = await self._next(file, job_id, anew=False)
        report = await self.report(job_id)
        report.by_state = by_state
        return _ended(guard, report)

    async def report(self, job_id: UUID) -> Report:
        """A job as it stands.

        Raises:
            Problem: there is none.
        """
        async with self.database.read() as conn:
            row = await store.read_job(conn, job_id)
        if row is None:
            raise Problem(NOT_FOUND)
        return report_of(row)

    async def _next(self, file: File, job_id: UUID, *, anew: bool) -> Chunk | None:
        """Take in what follows; None where nothing does.

        Args:
            anew: a job that is done begins from the start, in one transaction with its first rows:
                cut off before those, it is as done as it was.
        """
        for attempt in range(TRIES_MAX):
            chunk = Chunk()
            try:
                async with self.database.transaction() as tx:
                    job = await store.lock_job(tx.conn, job_id)
                    if job is None:
                        raise retry_after(IN_PROGRESS, RETRY_S)
                    start = int(job["next_row"])
                    if job["state"] == "done" and anew:
                        await store.begin_again(tx.conn, job_id, len(file.rows), self.staff_id)
                        start = 0
                    if start >= len(file.rows):
                        return None
                    await self._take(tx, file, start, chunk, job_id, None)
                    await store.save_chunk(
                        tx.conn,
                        job_id,
                        min(start + CHUNK_ROWS, len(file.rows)),
                        chunk.counts,
                        chunk.problems,
                    )
            except RETRIED:
                # Another file brought the same row or person at this moment.
                if attempt == TRIES_MAX - 1:
                    raise
                await asyncio.sleep(0.05 * 2**attempt)
            else:
                return chunk
        raise AssertionError("the loop above returns or raises")

    async def _take(
        self,
        tx: Tx,
        file: File,
        start: int,
        chunk: Chunk,
        job_id: UUID,
        undone: Undone | None,
    ) -> None:
        """Take in a few hundred rows.

        Args:
            undone: of a dry run what its chunks took in so far, this one as well then; None where
                rows are taken in for good.
        """
        homes = {} if undone is None else undone.homes
        kinds = await self.catalogue.current(tx.conn)
        today = day_of(tx.now)
        fresh = await self._fresh(tx, file, start, chunk, {} if undone is None else undone.rows)
        drafts: list[Draft] = []
        lines: dict[UUID, int] = {}
        kept: dict[UUID, tuple[bytes, bytes, UUID]] = {}
        for line, row, key, content in fresh:
            asked_on = row.asked_on or today
            if asked_on > today:
                chunk.reject(line, "asked_on", "in_the_future")
                continue
            try:
                draft = draft_row(row, asked_on, kinds, file.source, self.staff_id, tx.now)
            except AskError as error:
                chunk.reject(line, column_of(row, error.field), error.rule)
                continue
            lives = self._lives(draft)
            if lives is not None and homes.get(lives[0], lives[1]) != lives[1]:
                chunk.reject(line, *OTHER_HOUSEHOLD)
                continue
            drafts.append(draft)
            lines[draft.id] = line
            kept[draft.id] = (key, content, draft.needs[0].id)
        done, contrary = await register_fitting(tx, self.vault, kinds, drafts)
        for draft in drafts:
            if draft.id in contrary:
                chunk.reject(lines[draft.id], *OTHER_HOUSEHOLD)
            elif (lives := self._lives(draft)) is not None:
                homes[lives[0]] = lives[1]
        rows = [kept[each.request_id] for each in done]
        if undone is None:
            await store.add_rows(tx.conn, job_id, rows)
        else:
            undone.rows |= {key: content for key, content, _ in rows}
        chunk.accepted = len(done)
        chunk.by_state.update(each.needs[0].state.value for each in done)

    def _lives(self, draft: Draft) -> tuple[bytes, bytes] | None:
        """What a person and the household that they are said to live in are found by."""
        person = draft.person if isinstance(draft.person, PersonDraft) else None
        if person is None or person.details.client_code is None or person.household_code is None:
            return None
        code = person.details.client_code.reveal()
        return (
            self.vault.lookup(code, PERSON_CODE),
            self.vault.lookup(person.household_code, HOUSEHOLD_CODE),
        )

    async def _fresh(
        self,
        tx: Tx,
        file: File,
        start: int,
        chunk: Chunk,
        undone: Mapping[bytes, bytes],
    ) -> list[tuple[int, ImportRow, bytes, bytes]]:
        """The rows that are well-formed and were not taken in before."""
        read: list[tuple[int, dict[str, str], bytes, bytes]] = []
        for line, cells in file.rows[start : start + CHUNK_ROWS]:
            row_id = cells.get("row_id")
            if not row_id:
                chunk.reject(line, "row_id", "missing")
                continue
            content = self.vault.content_hash(json.dumps(cells, sort_keys=True).encode())
            read.append((line, cells, self.vault.row_key(file.source, row_id), content))
        known = dict(undone) | {
            key: row.content_hash
            for key, row in (
                await store.rows_by_key(tx.conn, [key for _, _, key, _ in read])
            ).items()
        }
        fresh: list[tuple[int, ImportRow, bytes, bytes]] = []
        for line, cells, key, content in read:
            before = known.get(key)
            if before is not None:
                if before == content:
                    chunk.skipped += 1
                else:
                    chunk.reject(line, "row_id", "changed_since_it_was_imported")
                continue
            try:
                row = parse_row(cells)
            except RowError as error:
                for broken in error.problems:
                    chunk.reject(line, *broken)
                continue
            known[key] = content
            fresh.append((line, row, key, content))
        return fresh


def _ended(guard: Tx, report: Report) -> Report:
    guard.log.info(
        "import.ended",
        import_id=None if report.import_id is None else str(report.import_id),
        dry_run=report.import_id is None,
        rows=report.rows_total,
        accepted=report.accepted,
        skipped=report.skipped,
        rejected=report.rejected,
    )
    return report


async def _keep(guard: Tx) -> None:
    """Keep a transaction from being ended for idling, and let others of this process work."""
    await clock(guard.conn)
    await asyncio.sleep(0)


class _UndoError(Exception):
    """Rolls a dry run back."""
