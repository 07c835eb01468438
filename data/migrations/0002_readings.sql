-- What a model says of a headline as a whole has a table of its own, so that headlines that move nobody are kept too;
-- a score says of one issuer, named or not, how it is moved and why. Old scores are kept, all of named issuers.

CREATE TABLE reading (
    headline_id     VARCHAR NOT NULL,
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
    batch_id        BIGINT NOT NULL,
    PRIMARY KEY (headline_id, model_id)
);

INSERT INTO reading
SELECT DISTINCT ON (headline_id, model_id)
       headline_id, model_id, NULL, NULL, p_ai_models, p_localization, p_sanctions, event, p_event, NULL, NULL, NULL,
       batch_id
FROM score
ORDER BY headline_id, model_id, issuer;

INSERT INTO reading (headline_id, model_id, abstained, batch_id)
SELECT DISTINCT ON (headline_id, model_id) headline_id, model_id, reason, batch_id
FROM abstention
ORDER BY headline_id, model_id, issuer
ON CONFLICT DO NOTHING;

DROP TABLE abstention;

CREATE TEMP TABLE score_of_schema_1 AS FROM score;

DROP TABLE score;

CREATE TABLE score (
    headline_id     VARCHAR NOT NULL,
    issuer          VARCHAR NOT NULL,
    model_id        VARCHAR NOT NULL,
    via             VARCHAR NOT NULL CHECK (via IN ('direct', 'exposure')), -- named, or moved though not named
    p_negative      DOUBLE NOT NULL,
    p_neutral       DOUBLE NOT NULL,
    p_positive      DOUBLE NOT NULL,
    p_relevant      DOUBLE NOT NULL CHECK (p_relevant BETWEEN 0 AND 1), -- of an exposure: its weight
    reason          VARCHAR NOT NULL,        -- in words for users
    batch_id        BIGINT NOT NULL,
    PRIMARY KEY (headline_id, issuer, model_id)
);

INSERT INTO score
SELECT headline_id, issuer, model_id, 'direct', p_negative, p_neutral, p_positive, 1.0, 'named', batch_id
FROM score_of_schema_1;

DROP TABLE score_of_schema_1;

ALTER TABLE model ADD COLUMN masked BOOLEAN DEFAULT false; -- whether names were masked before it read

ALTER TABLE model ADD COLUMN rules VARCHAR;                -- digests of what else makes a score; NULL: schema 1

ALTER TABLE model ADD COLUMN exposures VARCHAR;

ALTER TABLE model ADD COLUMN linker VARCHAR;

-- The digests of what was changed here are made anew at the end of the command.
DELETE FROM digest WHERE name IN ('model', 'score', 'abstention');
