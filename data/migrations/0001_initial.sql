-- All *_at columns are UTC instants without a zone. Keys make a second ingest of the same data add nothing.

CREATE TABLE batch (
    batch_id    BIGINT PRIMARY KEY,          -- 1, 2, ... in the order of commits
    command     VARCHAR NOT NULL,            -- e.g. 'ingest news'
    input       VARCHAR NOT NULL,            -- file, model or strategy the batch came from
    rows_read   BIGINT NOT NULL,
    rows_added  BIGINT NOT NULL
);

CREATE TABLE reject (
    batch_id    BIGINT NOT NULL,
    file        VARCHAR NOT NULL,
    line        BIGINT NOT NULL,             -- 1-based line or record number, 0 for the file as a whole
    reason      VARCHAR NOT NULL,
    excerpt     VARCHAR NOT NULL,            -- the first 200 characters, cleaned
    PRIMARY KEY (file, line, reason, excerpt)
);

CREATE TABLE headline (
    headline_id         VARCHAR PRIMARY KEY, -- 16 hex digits of BLAKE2b over what makes the item one item
    title               VARCHAR NOT NULL,    -- cleaned
    title_raw           VARCHAR,             -- as delivered, only where cleaning changed it
    summary             VARCHAR,
    body                VARCHAR,             -- without its tail
    url                 VARCHAR,
    source              VARCHAR,             -- publisher, feed or site
    language            VARCHAR NOT NULL,    -- 'en', 'zh', ... or 'und'
    published_at        TIMESTAMP CHECK (published_at IS NULL OR isfinite(published_at)),
    published_precision VARCHAR CHECK (published_precision IN ('second', 'minute', 'day')),
    published_zone      VARCHAR,             -- IANA zone whose day is meant, for precision 'day'
    first_seen_at       TIMESTAMP CHECK (first_seen_at IS NULL OR isfinite(first_seen_at)),
    available_at        TIMESTAMP CHECK (available_at IS NULL OR isfinite(available_at)), -- NULL: undated, never traded
    dated_by            VARCHAR,             -- 'row', 'text' or 'user'; NULL when undated
    batch_id            BIGINT NOT NULL
);

CREATE TABLE headline_ticker (               -- tickers that the source itself filed the headline under
    headline_id VARCHAR NOT NULL,
    ticker      VARCHAR NOT NULL,
    PRIMARY KEY (headline_id, ticker)
);

CREATE TABLE bar (
    instrument  VARCHAR NOT NULL,
    interval    VARCHAR NOT NULL,            -- '1d', '1h', ...
    session     DATE NOT NULL,               -- the venue's session
    starts_at   TIMESTAMP NOT NULL,          -- session date at 00:00 for '1d', else the bar's first instant
    open        DOUBLE NOT NULL,
    high        DOUBLE NOT NULL,
    low         DOUBLE NOT NULL,
    close       DOUBLE NOT NULL,
    adj_close   DOUBLE,
    volume      DOUBLE,                      -- shares; NULL where the source has none (indices)
    adjustment  VARCHAR NOT NULL CHECK (adjustment IN ('none', 'split', 'split+dividend')),
    batch_id    BIGINT NOT NULL,
    PRIMARY KEY (instrument, interval, starts_at)
);

CREATE TABLE fx_rate (
    currency     VARCHAR NOT NULL,           -- units of it for one USD
    fixed_on     DATE NOT NULL,
    rate         DOUBLE NOT NULL CHECK (rate > 0),
    available_at TIMESTAMP NOT NULL,
    batch_id     BIGINT NOT NULL,
    PRIMARY KEY (currency, fixed_on)
);

CREATE TABLE corporate_action (
    instrument  VARCHAR NOT NULL,
    ex_date     DATE NOT NULL,
    kind        VARCHAR NOT NULL CHECK (kind IN ('split', 'dividend')),
    value       DOUBLE NOT NULL CHECK (value > 0), -- new shares for one old share, or cash for one share
    currency    VARCHAR,
    batch_id    BIGINT NOT NULL,
    PRIMARY KEY (instrument, ex_date, kind)
);

CREATE TABLE price_quality (
    batch_id    BIGINT NOT NULL,
    instrument  VARCHAR NOT NULL,
    interval    VARCHAR NOT NULL,
    file        VARCHAR NOT NULL,
    first_session DATE,
    last_session  DATE,
    bars_read   BIGINT NOT NULL,
    bars_kept   BIGINT NOT NULL,
    missing_sessions BIGINT NOT NULL,        -- venue sessions between first and last without a bar
    stale_bars  BIGINT NOT NULL,             -- zero volume, last close repeated: kept out
    impossible_bars BIGINT NOT NULL,         -- kept out
    limit_jumps BIGINT NOT NULL,             -- close to close beyond the board's limit: kept, flagged
    off_calendar_bars BIGINT NOT NULL,       -- dated when the venue was closed: kept out
    adjustment  VARCHAR NOT NULL,
    volume_unit VARCHAR NOT NULL,            -- 'shares' or 'lots of 100', as found
    notes       VARCHAR NOT NULL,
    PRIMARY KEY (batch_id, instrument, interval, file)
);

CREATE TABLE mention (
    headline_id VARCHAR NOT NULL,
    issuer      VARCHAR NOT NULL,
    via         VARCHAR NOT NULL CHECK (via IN ('direct', 'exposure')),
    relevance   DOUBLE NOT NULL CHECK (relevance BETWEEN 0 AND 1),
    matched     VARCHAR NOT NULL,            -- the name or ticker in the text
    linker      VARCHAR NOT NULL,            -- digest of the universe and the linking rules
    PRIMARY KEY (headline_id, issuer, linker)
);

CREATE TABLE linked (                        -- headlines the linker has read, whether or not it found an issuer
    headline_id VARCHAR NOT NULL,
    linker      VARCHAR NOT NULL,
    PRIMARY KEY (headline_id, linker)
);

CREATE TABLE model (
    model_id        VARCHAR PRIMARY KEY,     -- digest of the weights, the tokenizer, the labels and the theme rules
    name            VARCHAR NOT NULL,
    files_sha256    VARCHAR NOT NULL,
    labels          VARCHAR NOT NULL,        -- JSON list, the model's own order
    languages       VARCHAR NOT NULL,        -- JSON list
    training_cutoff DATE                     -- NULL: not known
);

CREATE TABLE score (
    headline_id     VARCHAR NOT NULL,
    issuer          VARCHAR NOT NULL,
    model_id        VARCHAR NOT NULL,
    p_negative      DOUBLE NOT NULL,
    p_neutral       DOUBLE NOT NULL,
    p_positive      DOUBLE NOT NULL,
    p_ai_models     DOUBLE NOT NULL,
    p_localization  DOUBLE NOT NULL,
    p_sanctions     DOUBLE NOT NULL,
    event           VARCHAR,                 -- the likeliest event, NULL: none recognised
    p_event         DOUBLE,
    batch_id        BIGINT NOT NULL,
    PRIMARY KEY (headline_id, issuer, model_id)
);

CREATE TABLE abstention (
    headline_id VARCHAR NOT NULL,
    issuer      VARCHAR NOT NULL,
    model_id    VARCHAR NOT NULL,
    reason      VARCHAR NOT NULL,            -- e.g. 'language zh'
    batch_id    BIGINT NOT NULL,
    PRIMARY KEY (headline_id, issuer, model_id)
);

CREATE TABLE signal (
    headline_id    VARCHAR NOT NULL,
    issuer         VARCHAR NOT NULL,
    theme          VARCHAR NOT NULL,         -- 'ai_models', 'localization', 'sanctions', 'none'
    model_id       VARCHAR NOT NULL,
    linker         VARCHAR NOT NULL,
    available_at   TIMESTAMP NOT NULL,
    via            VARCHAR NOT NULL,
    value          DOUBLE NOT NULL CHECK (value BETWEEN -1 AND 1), -- P(positive) - P(negative)
    relevance      DOUBLE NOT NULL CHECK (relevance BETWEEN 0 AND 1),
    novelty        DOUBLE NOT NULL CHECK (novelty BETWEEN 0 AND 1),
    theme_weight   DOUBLE NOT NULL CHECK (theme_weight BETWEEN 0 AND 1), -- sums to 1 over a headline's themes
    half_life_days DOUBLE NOT NULL CHECK (half_life_days > 0),
    event          VARCHAR,
    PRIMARY KEY (headline_id, issuer, theme, model_id, linker)
);

CREATE TABLE run (
    run_id       VARCHAR PRIMARY KEY,        -- 12 hex digits over settings, data, model and code
    run_no       BIGINT NOT NULL UNIQUE,     -- order of completion
    strategy     VARCHAR NOT NULL,
    engine       VARCHAR NOT NULL,
    params       VARCHAR NOT NULL,           -- JSON
    settings     VARCHAR NOT NULL,           -- JSON: span, capital, currency, fill, costs, ...
    data_fingerprint VARCHAR NOT NULL,
    model_id     VARCHAR,
    code_version VARCHAR NOT NULL,
    metrics      VARCHAR NOT NULL,           -- JSON
    warnings     VARCHAR NOT NULL            -- JSON list
);

CREATE TABLE target (
    run_id      VARCHAR NOT NULL,
    decision_at TIMESTAMP NOT NULL,
    instrument  VARCHAR NOT NULL,
    weight      DOUBLE NOT NULL,
    PRIMARY KEY (run_id, decision_at, instrument)
);

CREATE TABLE fill (
    run_id        VARCHAR NOT NULL,
    fill_no       BIGINT NOT NULL,           -- 1, 2, ... within the run
    decision_at   TIMESTAMP NOT NULL,
    auction_at    TIMESTAMP NOT NULL,
    session       DATE NOT NULL,
    venue         VARCHAR NOT NULL,
    auction       VARCHAR NOT NULL CHECK (auction IN ('open', 'close', 'action', 'delisting')),
    instrument    VARCHAR NOT NULL,
    shares        BIGINT NOT NULL,           -- signed: bought positive
    price         DOUBLE NOT NULL,           -- local currency, slippage included
    auction_price DOUBLE NOT NULL,
    currency      VARCHAR NOT NULL,
    fx            DOUBLE NOT NULL,           -- base currency for one unit of local currency
    commission    DOUBLE NOT NULL,           -- these and below: local currency, positive costs
    duty          DOUBLE NOT NULL,           -- stamp duty
    levies        DOUBLE NOT NULL,           -- exchange, clearing and regulators' fees
    slippage      DOUBLE NOT NULL,           -- |price - auction_price| x shares, already inside price
    realized      DOUBLE NOT NULL,           -- base currency, after costs, against average cost
    PRIMARY KEY (run_id, fill_no)
);

CREATE TABLE fill_cause (                    -- which signals stood behind the decision, strongest first
    run_id       VARCHAR NOT NULL,
    fill_no      BIGINT NOT NULL,
    rank         BIGINT NOT NULL,
    headline_id  VARCHAR NOT NULL,
    issuer       VARCHAR NOT NULL,
    theme        VARCHAR NOT NULL,
    model_id     VARCHAR NOT NULL,
    strength     DOUBLE NOT NULL,            -- the signal as the strategy saw it at the decision
    relation     VARCHAR NOT NULL CHECK (relation IN ('own', 'opened', 'rival')),
    PRIMARY KEY (run_id, fill_no, rank)
);

CREATE TABLE unfilled (
    run_id      VARCHAR NOT NULL,
    order_no    BIGINT NOT NULL,
    decision_at TIMESTAMP NOT NULL,
    auction_at  TIMESTAMP NOT NULL,
    session     DATE NOT NULL,
    instrument  VARCHAR NOT NULL,
    wanted      BIGINT NOT NULL,             -- signed shares ordered
    filled      BIGINT NOT NULL,
    reason      VARCHAR NOT NULL,
    PRIMARY KEY (run_id, order_no)
);

CREATE TABLE position (                      -- after the last auction of each UTC day on which something is held
    run_id      VARCHAR NOT NULL,
    day         DATE NOT NULL,
    instrument  VARCHAR NOT NULL,
    shares      BIGINT NOT NULL,
    price       DOUBLE NOT NULL,
    fx          DOUBLE NOT NULL,
    value       DOUBLE NOT NULL,             -- base currency
    PRIMARY KEY (run_id, day, instrument)
);

CREATE TABLE equity (                        -- after the last auction of each UTC day
    run_id      VARCHAR NOT NULL,
    day         DATE NOT NULL,
    equity      DOUBLE NOT NULL,
    cash        DOUBLE NOT NULL,
    gross       DOUBLE NOT NULL,             -- sum of |position value|
    costs       DOUBLE NOT NULL,             -- of that day, base currency, slippage included
    borrow      DOUBLE NOT NULL,             -- borrow cost of that day
    dividends   DOUBLE NOT NULL,             -- received less paid
    PRIMARY KEY (run_id, day)
);

CREATE TABLE digest (                        -- for `doctor --verify`
    name        VARCHAR PRIMARY KEY,         -- table
    row_count   BIGINT NOT NULL,
    value       VARCHAR NOT NULL,
    duckdb      VARCHAR NOT NULL
);
