-- What checks for luck said of a run or a sweep; appended to only: the count of all that was tried grows, and with it
-- what they say.

CREATE TABLE validation (
    validation_id VARCHAR PRIMARY KEY,       -- 12 hex digits over subject, kind and payload
    validation_no BIGINT NOT NULL UNIQUE,    -- order in which they were made
    subject       VARCHAR NOT NULL,          -- run_id or sweep_id
    kind          VARCHAR NOT NULL,          -- 'luck', 'walk_forward'
    payload       VARCHAR NOT NULL,          -- JSON
    code_version  VARCHAR NOT NULL
);
