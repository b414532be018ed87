-- The support cases of the example company. Everything belongs to a role that nobody logs in as; the broker's own account
-- is no superuser: it makes roles, and grants them what the owner may.
CREATE ROLE support_owner NOLOGIN;
CREATE ROLE answerable LOGIN CREATEROLE PASSWORD :'broker_password';
GRANT support_owner TO answerable;
CREATE DATABASE support OWNER support_owner;
\connect support
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT CREATE ON SCHEMA public TO support_owner;
SET ROLE support_owner;

CREATE TABLE cases (
    case_id text PRIMARY KEY, customer text NOT NULL, email text NOT NULL, plan text NOT NULL, subject text NOT NULL
);
CREATE TABLE notes (
    note_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, case_id text NOT NULL REFERENCES cases, text text NOT NULL
);
CREATE TABLE accounts (
    account_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, plan text NOT NULL, since date NOT NULL
);
CREATE TABLE payment_cards (customer text PRIMARY KEY, card text NOT NULL);

INSERT INTO cases VALUES
    ('4711', 'Amara Okafor', 'amara.okafor@lindenbakery.example', 'Business', 'Invoice for October was charged twice'),
    ('4712', 'Jonas Lindqvist', 'jonas@lindqvist-print.example', 'Starter', 'Cannot sign in since the password change'),
    ('4713', 'Mei-Ling Zhou', 'ml.zhou@harbourlogistics.example', 'Enterprise', 'Export stops at 10,000 rows'),
    ('4714', 'Tomás Herrera', 'tomas.herrera@casaverde.example', 'Business', 'Wants to move to yearly billing'),
    ('4716', 'Priya Raman', 'priya@ramandental.example', 'Starter', 'Appointment reminders arrive a day late');
INSERT INTO notes (case_id, text) VALUES
    ('4711', 'Customer sent both receipts: 129.00 EUR on 3 and 4 October.'),
    ('4712', 'Reset link sent to the address on file, no answer yet.'),
    ('4716', 'The time zone of the practice is set to UTC-11.');
INSERT INTO accounts (plan, since)
    SELECT CASE WHEN number <= 840 THEN 'Trial' ELSE 'Business' END, DATE '2026-01-01' + number % 300
    FROM generate_series(1, 10000) AS number;
INSERT INTO payment_cards VALUES ('Amara Okafor', 'tok_visa_4242'), ('Jonas Lindqvist', 'tok_mc_5100');

-- The owner turns it on; without it no rule about rows is granted.
ALTER TABLE cases ENABLE ROW LEVEL SECURITY;
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
-- So that the planner knows what is in it; a server does this by itself after a while.
ANALYZE accounts;
