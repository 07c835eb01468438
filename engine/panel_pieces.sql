-- The news between any two cuts, added up for each issuer and kind of news, as it stands at the later cut: for eight
-- half-lives at once (NULL: the news' own). A piece is numbered by its later cut; news after the last cut is in none.
-- Strengths are added up in units of 1e-18: whole numbers come to the same sum in any order, on any number of threads.
WITH placed AS (
    SELECT CAST(cut.number AS BIGINT) * $width + news.slot AS slot, news.size * 1e18 AS size, news.half_life,
           (epoch_us(cut.at) - epoch_us(news.at)) / 86400e6 AS age
    FROM news
    ASOF JOIN cut ON news.at <= cut.at
)
SELECT slot,
       CAST(sum(CAST(size * pow(2.0, -age / coalesce($h0, half_life)) AS BIGINT)) AS DOUBLE) / 1e18 AS s0,
       CAST(sum(CAST(size * pow(2.0, -age / coalesce($h1, half_life)) AS BIGINT)) AS DOUBLE) / 1e18 AS s1,
       CAST(sum(CAST(size * pow(2.0, -age / coalesce($h2, half_life)) AS BIGINT)) AS DOUBLE) / 1e18 AS s2,
       CAST(sum(CAST(size * pow(2.0, -age / coalesce($h3, half_life)) AS BIGINT)) AS DOUBLE) / 1e18 AS s3,
       CAST(sum(CAST(size * pow(2.0, -age / coalesce($h4, half_life)) AS BIGINT)) AS DOUBLE) / 1e18 AS s4,
       CAST(sum(CAST(size * pow(2.0, -age / coalesce($h5, half_life)) AS BIGINT)) AS DOUBLE) / 1e18 AS s5,
       CAST(sum(CAST(size * pow(2.0, -age / coalesce($h6, half_life)) AS BIGINT)) AS DOUBLE) / 1e18 AS s6,
       CAST(sum(CAST(size * pow(2.0, -age / coalesce($h7, half_life)) AS BIGINT)) AS DOUBLE) / 1e18 AS s7
FROM placed
GROUP BY slot
