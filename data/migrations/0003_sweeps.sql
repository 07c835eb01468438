-- A sweep tries many configurations of one strategy; each has a row, which says all that a run alone needs to give
-- the same figures, and counts as a trial for good.

CREATE TABLE sweep (
    sweep_id       VARCHAR PRIMARY KEY,      -- 12 hex digits over the strategy, all configurations and the code
    sweep_no       BIGINT NOT NULL UNIQUE,   -- order of the first call
    strategy       VARCHAR NOT NULL,
    reference      VARCHAR NOT NULL,         -- the strategy as it was asked for, e.g. 'my.py:Mine'
    axes           VARCHAR NOT NULL,         -- JSON list of name, of, drawn, text, values
    draws          BIGINT NOT NULL,          -- joint random draws, 0: none
    seed           BIGINT NOT NULL,
    configurations BIGINT NOT NULL,          -- rows that the sweep has when it is done
    code_version   VARCHAR NOT NULL,
    warnings       VARCHAR NOT NULL          -- JSON list
);

CREATE TABLE sweep_row (
    sweep_id          VARCHAR NOT NULL,
    row_no            BIGINT NOT NULL,       -- 1, 2, ... in the order of the axes
    trial_id          VARCHAR NOT NULL,      -- digest over strategy, parameters, settings, data and model
    params            VARCHAR NOT NULL,      -- JSON, as in table run
    settings          VARCHAR NOT NULL,      -- JSON, as in table run
    data_fingerprint  VARCHAR NOT NULL,
    model_id          VARCHAR,
    error             VARCHAR,               -- why there are no figures; NULL: there are
    days              BIGINT,                -- UTC days with an equity
    final_equity      DOUBLE,                -- base currency; figures that cannot be given are NULL
    total_return      DOUBLE,                -- these: fractions
    annual_return     DOUBLE,
    annual_volatility DOUBLE,
    sharpe            DOUBLE,
    sortino           DOUBLE,
    max_drawdown      DOUBLE,                -- at most 0
    calmar            DOUBLE,
    turnover          DOUBLE,                -- a year
    mean_exposure     DOUBLE,
    costs             DOUBLE,                -- base currency, borrow and slippage included
    n_fills           BIGINT,
    n_unfilled        BIGINT,                -- orders of which nothing was filled
    batch_id          BIGINT NOT NULL,
    PRIMARY KEY (sweep_id, row_no)
);
