-- The double-entry ledger and the rates it converts at.
-- depends:

-- migrate: apply

-- The id follows from the other columns (domain/ledger.py), so nobody has to look it up.
CREATE TABLE account (
    id uuid PRIMARY KEY,
    code text NOT NULL CHECK (code IN (
        'donor', 'unallotted', 'refund_due', 'exchange_difference', 'exchange', 'allotted',
        'granted', 'available', 'spent')),
    currency char(3) NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    grant_id uuid,
    allotment_id uuid,
    balance_minor bigint NOT NULL DEFAULT 0,
    UNIQUE (id, currency),
    UNIQUE NULLS NOT DISTINCT (code, currency, grant_id, allotment_id),
    CHECK ((code = 'exchange') = (grant_id IS NULL)),
    CHECK (code NOT IN ('unallotted', 'refund_due', 'allotted', 'available', 'spent')
           OR balance_minor >= 0)
);
CREATE INDEX account_grant ON account (grant_id);

CREATE TABLE journal (
    id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN (
        'instalment', 'allotment_sent', 'allotment_received', 'return_sent', 'return_received',
        'spending', 'spending_reversed', 'exchange_difference', 'refund_due', 'refund')),
    occurred_on date NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    reference text NOT NULL,
    reason text NOT NULL
);
CREATE INDEX journal_time ON journal (recorded_at, id);

CREATE TABLE posting (
    journal_id uuid NOT NULL REFERENCES journal,
    line int NOT NULL CHECK (line > 0),
    account_id uuid NOT NULL,
    currency char(3) NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor <> 0),
    PRIMARY KEY (journal_id, line),
    FOREIGN KEY (account_id, currency) REFERENCES account (id, currency)
);
CREATE INDEX posting_account ON posting (account_id);

-- At commit every new journal has postings that sum to zero in each currency.
CREATE FUNCTION journal_balances() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM posting WHERE journal_id = NEW.id) OR EXISTS (
        SELECT FROM posting WHERE journal_id = NEW.id
        GROUP BY currency HAVING sum(amount_minor) <> 0)
    THEN
        RAISE EXCEPTION 'journal % does not balance', NEW.id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER journal_balances AFTER INSERT ON journal
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION journal_balances();

-- Nothing is added to a journal by a later transaction, so that the check above is enough.
CREATE FUNCTION posting_belongs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM fresh JOIN journal ON journal.id = fresh.journal_id
               WHERE journal.recorded_at <> now())
    THEN
        RAISE EXCEPTION 'a journal is closed' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER posting_belongs AFTER INSERT ON posting
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION posting_belongs();

CREATE FUNCTION ledger_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what is booked stays; book a reversal' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER journal_is_final BEFORE UPDATE OR DELETE ON journal
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_final();
CREATE TRIGGER posting_is_final BEFORE UPDATE OR DELETE ON posting
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_final();

-- Exchange accounts of the currencies that are likely; others are made when first used.
INSERT INTO account (id, code, currency) VALUES
    ('5a87f03c-3402-5268-a7db-3804733dc53b', 'exchange', 'CHF'),
    ('d4dc1225-7b66-5804-8746-393145931dca', 'exchange', 'CZK'),
    ('df6ee674-92af-5a45-881b-b3d4beaf80e7', 'exchange', 'DKK'),
    ('1e94edd9-017e-53bb-8907-95ccb2ec8ef1', 'exchange', 'EUR'),
    ('83a5add8-d9de-5c97-93da-b1c833415d52', 'exchange', 'GBP'),
    ('c7d86a9a-ed44-5b91-814b-be060aea1510', 'exchange', 'NOK'),
    ('987dcac7-d7ab-5c1e-99de-5618860a27a5', 'exchange', 'PLN'),
    ('25a796d9-a536-54ea-8681-f78aa5c96610', 'exchange', 'SEK'),
    ('e4ef6408-cf93-5480-8ffe-15e98b7507fb', 'exchange', 'UAH'),
    ('04cb2b45-5545-54f1-8ccc-ed5f58faec21', 'exchange', 'USD');

-- `rate` units of `spending` per unit of `base`, as published.
CREATE TABLE exchange_rate (
    base char(3) NOT NULL CHECK (base ~ '^[A-Z]{3}$'),
    spending char(3) NOT NULL CHECK (spending ~ '^[A-Z]{3}$' AND spending <> base),
    rate_on date NOT NULL,
    source text NOT NULL,
    rate text NOT NULL CHECK (rate::numeric > 0),
    recorded_at timestamptz NOT NULL DEFAULT now(),
    recorded_by uuid NOT NULL,
    PRIMARY KEY (base, spending, rate_on, source)
);

-- migrate: rollback

DROP TABLE exchange_rate, posting, journal, account;
DROP FUNCTION journal_balances, posting_belongs, ledger_is_final;
