-- These four tables grow with the headlines, and the index behind a key is held in memory: some 400 bytes a headline,
-- which at a million is more than scoring may take. Only the stage that links and the one that scores write them, each
-- alone under the writing lock and only for headlines that it has not done; that their rows are as different as the
-- keys below ask is looked at by `chipwire doctor --verify`.

CREATE TABLE linked_5 (                      -- headlines the linker has read, whether or not it found an issuer
    headline_id VARCHAR NOT NULL,            -- a row for each headline_id and linker
    linker      VARCHAR NOT NULL
);

INSERT INTO linked_5 FROM linked;

DROP TABLE linked;

ALTER TABLE linked_5 RENAME TO linked;

CREATE TABLE mention_5 (
    headline_id VARCHAR NOT NULL,            -- a row for each headline_id, issuer and linker
    issuer      VARCHAR NOT NULL,
    via         VARCHAR NOT NULL CHECK (via IN ('direct', 'exposure')),
    relevance   DOUBLE NOT NULL CHECK (relevance BETWEEN 0 AND 1),
    matched     VARCHAR NOT NULL,            -- the name or ticker in the text
    linker      VARCHAR NOT NULL             -- digest of the universe and the linking rules
);

INSERT INTO mention_5 FROM mention;

DROP TABLE mention;

ALTER TABLE mention_5 RENAME TO mention;

CREATE TABLE reading_5 (
    headline_id     VARCHAR NOT NULL,        -- a row for each headline_id and model_id
    model_id        VARCHAR NOT NULL,
    abstained       VARCHAR,                 -- why there is no score, e.g. 'language fr'; NULL: there is one
    exposures_on    DATE,                    -- exposures that held on this day were looked at; NULL: none
    p_ai_models     DOUBLE,                  -- these and below are NULL where the model was not asked
    p_localization  DOUBLE,
    p_sanctions     DOUBLE,
    event           VARCHAR,                 -- the likeliest event, NULL: none recognised
    p_event         DOUBLE,
    p_for           DOUBLE,                  -- P that the event happens as its type says
    p_against       DOUBLE,                  -- P of the contrary: denied, averted, lifted
    embedding       FLOAT[],                 -- of length 1, three decimals; NULL from a model that gives none
    batch_id        BIGINT NOT NULL
);

INSERT INTO reading_5 FROM reading;

DROP TABLE reading;

ALTER TABLE reading_5 RENAME TO reading;

CREATE TABLE score_5 (
    headline_id     VARCHAR NOT NULL,        -- a row for each headline_id, issuer and model_id
    issuer          VARCHAR NOT NULL,
    model_id        VARCHAR NOT NULL,
    via             VARCHAR NOT NULL CHECK (via IN ('direct', 'exposure')), -- named, or moved though not named
    p_negative      DOUBLE NOT NULL,
    p_neutral       DOUBLE NOT NULL,
    p_positive      DOUBLE NOT NULL,
    p_relevant      DOUBLE NOT NULL CHECK (p_relevant BETWEEN 0 AND 1), -- of an exposure: its weight
    reason          VARCHAR NOT NULL,        -- in words for users
    batch_id        BIGINT NOT NULL
);

INSERT INTO score_5 FROM score;

DROP TABLE score;

ALTER TABLE score_5 RENAME TO score;

DELETE FROM digest WHERE name IN ('linked', 'mention', 'reading', 'score');
