"""Referral between two regions: whatever the wire does, one of them serves, never both."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from aidmesh_chassis.privacy import PersonalText
from aidmesh_contracts.ids import NeedId, ReferralId, ReservationId, SiteId
from aidmesh_contracts.intake import NeedClosedV1, NeedConfirmedV1, NeedReadyV1, NeedWaitlistedV1
from aidmesh_contracts.intake_referrals import (
    ReferralAcceptedV1,
    ReferralConfirmedV1,
    ReferralRefusedV1,
    ReferralWithdrawnV1,
)
from aidmesh_contracts.inventory import (
    ReservationConfirmedV1,
    ReservationHeldV1,
    ReservationIssuedV1,
    ReservationRefusedV1,
    ReservationReleasedV1,
)
from aidmesh_contracts.values import BlockedBy
from aidmesh_intake.domain import commands, referral, saga
from aidmesh_intake.domain.need import CLOSED, LIVE, Decision, Need, NotAllowed, State, Wait
from aidmesh_intake.domain.persons import Consents, Details
from aidmesh_intake.domain.referral import Box, Got, Offer, Offered, Referral, Told, box_of
from aidmesh_intake.domain.steps import wait_for
from unit.intake.builders import CASH, DAY, NOW, need

SITE = SiteId(UUID(int=9))
AGREED: Consents = {"referral": DAY}
PARCEL = BlockedBy(resource="stock", code="food_parcel", area="UA80", quantity=1)
Word = Told | ReferralAcceptedV1 | ReferralRefusedV1


def waiting() -> Need:
    """A need that was refused for want of goods."""
    asked = commands.approve(need(), NOW).need
    return wait_for(asked, PARCEL, Wait.SHORT, NOW)[0]


def held(one: Need) -> ReservationHeldV1:
    return ReservationHeldV1(
        reservation_id=ReservationId(UUID(int=5)),
        need_id=one.id,
        attempt_no=one.attempt_no,
        hold_until=NOW + timedelta(minutes=15),
        site_id=SITE,
    )


def firm(one: Need) -> ReservationConfirmedV1:
    return ReservationConfirmedV1(
        reservation_id=ReservationId(UUID(int=5)),
        need_id=one.id,
        attempt_no=one.attempt_no,
        site_id=SITE,
    )


def short(one: Need, now: datetime) -> ReservationRefusedV1:
    return ReservationRefusedV1(
        need_id=one.id,
        attempt_no=one.attempt_no,
        reason="short",
        blocked_by=PARCEL,
        decided_at=now,
    )


def let_go(one: Need) -> ReservationReleasedV1:
    return ReservationReleasedV1(
        reservation_id=ReservationId(UUID(int=5)),
        need_id=one.id,
        attempt_no=one.attempt_no,
        cause="hold_expired",
    )


def issued(one: Need) -> ReservationIssuedV1:
    return ReservationIssuedV1(
        reservation_id=ReservationId(UUID(int=5)),
        need_id=one.id,
        attempt_no=one.attempt_no,
        issue_no=1,
        how="check_in",
        served_on=DAY,
        site_id=SITE,
        area="UA46",
        quantity=1,
        unit="night",
    )


def offer(one: Need, no: int = 7) -> referral.OfferStep:
    return referral.offer(one, AGREED, ReferralId(UUID(int=no)), "lviv", NOW + timedelta(hours=24))


def taken(no: int = 7) -> tuple[Referral, Need]:
    """Made of the offer at the target."""
    trial = replace(need(), id=NeedId(UUID(int=100 + no)), pending=True)
    got = Referral(ReferralId(UUID(int=no)), "kyiv", Got.TAKEN, NOW, trial.id, UUID(int=4))
    return got, commands.approve(trial, NOW).need


def test_only_what_waits_with_consent_is_offered() -> None:
    one = waiting()
    for refused, consents, rule_name in (
        (one, {}, "no_consent_to_referral"),
        (need(), AGREED, "not_waiting"),
        (replace(one, ask=CASH), AGREED, "not_of_this_kind"),
        (offer(one).need.need, AGREED, "offered_elsewhere"),
        (replace(one, pending=True), AGREED, "not_waiting"),
        (replace(one, attention="parted"), AGREED, "whose_is_open"),
    ):
        with pytest.raises(NotAllowed) as error:
            referral.offer(refused, consents, ReferralId(UUID(int=1)), "lviv", NOW)
        assert error.value.rule == rule_name
    with pytest.raises(NotAllowed):
        commands.approve(offer(one).need.need, NOW)


def test_what_is_pending_is_held_and_goes_no_further() -> None:
    got, trial = taken()
    step = saga.decide(trial, held(trial), NOW)
    assert step.need.state is State.APPROVED
    assert step.events == ()
    got, answer = referral.followed(got, step.need)
    assert isinstance(answer, ReferralAcceptedV1)
    assert referral.followed(got, step.need) == (got, None)
    done, decision = referral.confirmed(got, step.need, NOW)
    assert [type(event) for event in decision.events] == [NeedConfirmedV1]
    assert not decision.need.pending
    ready = saga.decide(decision.need, firm(decision.need), NOW)
    assert [type(event) for event in ready.events] == [NeedReadyV1]
    assert done.status is Got.CONFIRMED


def test_a_hold_that_ran_out_before_the_confirmation_queues_the_need_by_its_first_day() -> None:
    got, trial = taken()
    trial = replace(trial, asked_on=DAY - timedelta(days=30))
    trial = saga.decide(trial, held(trial), NOW).need
    got, _ = referral.followed(got, trial)
    step = saga.decide(trial, let_go(trial), NOW)
    assert (step.need.state, step.events) == (State.WAITLISTED, ())
    assert referral.followed(got, step.need) == (got, None)
    _, decision = referral.confirmed(got, step.need, NOW)
    assert decision.need.state is State.WAITLISTED
    (news,) = decision.events
    assert isinstance(news, NeedWaitlistedV1)
    assert (news.asked_on, news.version) == (DAY - timedelta(days=30), decision.need.version)


def test_what_cannot_be_held_is_refused_and_ends_without_being_counted() -> None:
    got, trial = taken()
    step = saga.decide(trial, short(trial, NOW), NOW)
    refused, answer = referral.followed(got, step.need)
    assert answer == ReferralRefusedV1(referral_id=got.id, reason="short")
    assert refused.status is Got.REFUSED
    end = commands.end(step.need, State.CANCELLED, "referral_over")
    assert not [each for each in end.events if isinstance(each, NeedClosedV1)]


def test_a_late_acceptance_is_withdrawn_and_the_need_waits_with_its_age() -> None:
    step = offer(waiting())
    late = NOW + timedelta(hours=24)
    answer = ReferralAcceptedV1(referral_id=step.offer.id)
    after = referral.answered(step.offer, step.need.need, answer, late)
    assert after.told == ReferralWithdrawnV1(referral_id=step.offer.id, reason="lapsed")
    assert after.offer.status is Offered.LAPSED
    back = after.need.need
    assert (back.state, back.asked_on, back.retry_at) == (State.WAITLISTED, DAY, late)


def test_what_ends_there_after_it_was_confirmed_is_for_a_person_to_look_at() -> None:
    step = offer(waiting())
    said = referral.answered(
        step.offer, step.need.need, ReferralAcceptedV1(referral_id=step.offer.id), NOW
    )
    assert said.need.need.state is State.REFERRED
    refusal = ReferralRefusedV1(referral_id=step.offer.id, reason="ended")
    after = referral.answered(said.offer, said.need.need, refusal, NOW)
    assert after.need.need.attention == "referral_refused"
    assert after.need.need.state is State.REFERRED
    again = referral.answered(after.offer, after.need.need, refusal, NOW)
    assert again.need.need is after.need.need


def test_what_is_issued_for_a_referred_need_is_no_service_but_a_conflict() -> None:
    step = offer(waiting())
    accepted = ReferralAcceptedV1(referral_id=step.offer.id)
    referred = referral.answered(step.offer, step.need.need, accepted, NOW).need.need
    after = saga.decide(referred, issued(referred), NOW)
    assert (after.need.state, after.events) == (State.REFERRED, ())
    assert after.need.attention == "served_by_two_attempts"


class TwoRegions(RuleBasedStateMachine):
    """kyiv offers a need again and again; words are lost, doubled and reordered."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.need = waiting()
        self.offers: dict[UUID, Offer] = {}
        self.there: dict[UUID, Referral] = {}
        self.trials: dict[UUID, Need] = {}
        self.said: list[Word] = []
        self.offered: list[UUID] = []

    # ---- the source ---------------------------------------------------------------------------

    def _kyiv(self, decision: Decision) -> None:
        before, self.need = self.need, decision.need
        if (
            before.wait is Wait.OFFERED
            and self.need.wait is not Wait.OFFERED
            and self.need.state is not State.REFERRED
        ):
            for each in list(self.offers.values()):
                if each.status is Offered.OFFERED:
                    self.offers[each.id], word = referral.left(each)
                    self.said.append(word)

    def _step(self, step: referral.OfferStep) -> None:
        self.offers[step.offer.id] = step.offer
        if step.told is not None:
            self.said.append(step.told)
        self._kyiv(step.need)

    @precondition(
        lambda self: self.need.state is State.WAITLISTED and self.need.wait is not Wait.OFFERED
    )
    @rule()
    def offer_it(self) -> None:
        no = len(self.offers) + 1
        step = referral.offer(
            self.need, AGREED, ReferralId(UUID(int=no)), "lviv", self.now + timedelta(hours=2)
        )
        self._step(step)
        self.offered.append(step.offer.id)

    @rule()
    def grow(self) -> None:
        if self.need.state is State.WAITLISTED and self.need.wait is not Wait.OFFERED:
            self._kyiv(commands.approve(self.need, self.now, woken=True))

    @rule(yes=st.sampled_from(("held", "firm", "short", "issued")))
    def kyiv_hears_inventory(self, yes: str) -> None:
        if self.need.state in LIVE:
            answers: dict[str, saga.Answer] = {
                "held": held(self.need),
                "firm": firm(self.need),
                "short": short(self.need, self.now),
                "issued": issued(self.need),
            }
            self._kyiv(saga.decide(self.need, answers[yes], self.now))

    @rule()
    def cancel(self) -> None:
        if self.need.state in commands.OPEN:
            self._kyiv(commands.end(self.need, State.CANCELLED, "mistake"))

    @rule(hours=st.integers(0, 3))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        for each in list(self.offers.values()):
            if each.status is Offered.OFFERED and each.lapses_at <= self.now:
                self._step(referral.withdraw(each, self.need, "lapsed", self.now))

    @rule()
    def take_it_back(self) -> None:
        for each in list(self.offers.values()):
            if each.status is Offered.OFFERED:
                self._step(referral.withdraw(each, self.need, "withdrawn", self.now))

    # ---- the target ---------------------------------------------------------------------------

    def _lviv(self, referral_id: UUID, trial: Need) -> None:
        self.trials[referral_id] = trial
        if trial.pending:
            self.there[referral_id], word = referral.followed(self.there[referral_id], trial)
            if word is not None:
                self.said.append(word)

    @precondition(lambda self: self.offered)
    @rule(data=st.data(), take=st.booleans())
    def lviv_hears_an_offer(self, data: st.DataObject, take: bool) -> None:
        referral_id = ReferralId(data.draw(st.sampled_from(self.offered)))
        got = self.there.setdefault(referral_id, Referral(referral_id, "kyiv"))
        if got.status is not Got.OFFERED:
            return
        if take:
            taken_one, trial = taken(referral_id.int)
            self.there[referral_id] = taken_one
            self._lviv(referral_id, trial)
        else:
            self.there[referral_id], word = referral.refuse(got, "declined")
            self.said.append(word)

    @precondition(lambda self: self.trials)
    @rule(
        data=st.data(), yes=st.sampled_from(("held", "firm", "short", "let_go", "retry", "cancel"))
    )
    def lviv_moves_on(self, data: st.DataObject, yes: str) -> None:
        referral_id = data.draw(st.sampled_from(sorted(self.trials)))
        trial = self.trials[referral_id]
        if yes == "cancel":
            if trial.state in commands.OPEN:
                self._lviv(referral_id, commands.end(trial, State.CANCELLED, "mistake").need)
        elif yes == "retry":
            if trial.state is State.WAITLISTED:
                self._lviv(referral_id, commands.approve(trial, self.now).need)
        elif trial.state in LIVE and (yes != "firm" or trial.state is State.HELD):
            answers: dict[str, saga.Answer] = {
                "held": held(trial),
                "firm": firm(trial),
                "short": short(trial, self.now),
                "let_go": let_go(trial),
            }
            self._lviv(referral_id, saga.decide(trial, answers[yes], self.now).need)

    @precondition(lambda self: self.said)
    @rule(data=st.data())
    def hear(self, data: st.DataObject) -> None:
        """Any word, any time, any number of times."""
        self._hear(data.draw(st.sampled_from(self.said)))

    def _hear(self, word: Word) -> None:
        referral_id = word.referral_id
        if isinstance(word, ReferralAcceptedV1 | ReferralRefusedV1):
            self._step(referral.answered(self.offers[referral_id], self.need, word, self.now))
        elif isinstance(word, ReferralConfirmedV1):
            self.there[referral_id], decision = referral.confirmed(
                self.there[referral_id], self.trials[referral_id], self.now
            )
            self.trials[referral_id] = decision.need
        else:
            got = self.there.get(referral_id, Referral(referral_id, "kyiv"))
            self.there[referral_id] = referral.withdrawn(got, word.reason)
            trial = self.trials.get(referral_id)
            if trial is not None and trial.pending and trial.state in commands.OPEN:
                ended = commands.end(trial, State.CANCELLED, "referral_over")
                self._lviv(referral_id, ended.need)

    @invariant()
    def never_do_both_serve(self) -> None:
        served_here = self.need.state in LIVE or self.need.state is State.FULFILLED
        theirs = [
            trial
            for trial in self.trials.values()
            if not trial.pending and trial.state not in CLOSED
        ]
        assert len(theirs) + served_here <= 1
        for trial in self.trials.values():
            if trial.pending:
                assert trial.state not in (State.HELD, State.READY, State.FULFILLED)
            else:
                assert self.need.state is State.REFERRED

    def teardown(self) -> None:
        """In the end every word arrives, and both agree."""
        heard = 0
        while heard < len(self.said):
            self._hear(self.said[heard])
            heard += 1
        for each in self.offers.values():
            got = self.there.get(each.id)
            trial = self.trials.get(each.id)
            if each.status is Offered.CONFIRMED:
                assert self.need.state is State.REFERRED
                assert trial is not None
                assert not trial.pending or trial.state in CLOSED
            elif each.status is not Offered.OFFERED:
                assert got is not None
                assert got.status in (Got.WITHDRAWN, Got.REFUSED)
                if each.status is Offered.REFUSED and trial is not None:
                    continue  # a sweep ends it
                assert trial is None or trial.state in CLOSED
        self.never_do_both_serve()


TestTwoRegions = TwoRegions.TestCase
TestTwoRegions.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)


def test_what_a_newer_region_says_besides_is_left_out() -> None:
    """Regions are upgraded one after the other."""
    person = referral.Person(Details(chosen_name=PersonalText("К")), ("uk",), None, None, AGREED)
    box = box_of(need(), person, UUID(int=7), "UA80", None, DAY)
    plain = json.loads(box.to_bytes())
    newer = {**plain, "newer": 1, "details": {**plain["details"], "newer": {"a": 1}}}
    assert Box.from_bytes(json.dumps(newer).encode()) == box
