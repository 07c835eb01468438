"""Plain articles: title, body without the page around it, and only dates that are the article's own."""

from datetime import UTC, date, datetime

import pytest

from chipwire.data.articles import read_article
from chipwire.data.instants import Stamp, day_stamp

LEAD = (
    "Example Foundry said on Monday that its second plant would open a year early, after orders from three "
    "domestic designers filled the first one."
)
MORE = (
    "The company, which reports on March 3, 2021, did not name its customers. Analysts expect revenue to grow by "
    "a fifth, according to a note dated 14.02.2021."
)

TITLED = f"""Example Foundry Opens Early as Orders Fill Its Plant

05.03.2021

\u00a0

{LEAD}

{MORE}

en_USEnglish
"""

WIRE = f"""By Ann Example
{LEAD}
{MORE}
Write to Ann Example at ann.example@example.org
(END) Example Newswires
March 01, 2021 00:59 ET (05:59 GMT)
Copyright (c) 2021 Example & Company, Inc.
免責聲明:投資有風險,本文並非投資建議,以上內容不應被視為任何產品的購買要約。
"""

BULLETS = f"""Key Takeaways
{LEAD}
{MORE}
"""

QUESTIONS = f"""What is the story about?
What's Happening?
{LEAD}
Why It's Important?
{MORE}
AI Generated Content
Do you find this article useful?
"""

NEIGHBOURS = f"""Rally Lifts Foundries as Plants Fill

{LEAD}

{MORE}

Source link

Visited 3 times, 1 visit(s) today

Related Article

A photo taken on April 9, 2021 shows a plant.

Minister visits plant

Updated on: Apr 10, 2021 05:28 pm IST The minister said so.

11.04.2021

March 01, 2021 00:59 ET (05:59 GMT)
"""


def test_a_title_line_and_a_date_line_give_a_day() -> None:
    article = read_article(TITLED)
    assert article.title == "Example Foundry Opens Early as Orders Fill Its Plant"
    assert article.stamp == day_stamp(date(2021, 3, 5), "UTC")
    assert article.body == f"{LEAD}\n\n{MORE}"


def test_the_date_lines_zone_can_be_given() -> None:
    assert read_article(TITLED, "Asia/Shanghai").stamp == day_stamp(date(2021, 3, 5), "Asia/Shanghai")


def test_a_newswires_dateline_gives_the_minute_and_the_source() -> None:
    article = read_article(WIRE)
    assert article.stamp == Stamp(datetime(2021, 3, 1, 5, 59, tzinfo=UTC), "minute")
    assert article.source == "Example Newswires"
    assert article.title == LEAD
    assert article.body == f"{LEAD}\n{MORE}"


def test_a_dateline_that_contradicts_itself_dates_nothing() -> None:
    assert read_article(WIRE.replace("05:59 GMT", "06:59 GMT")).stamp is None


@pytest.mark.parametrize("text", [BULLETS, QUESTIONS])
def test_page_furniture_is_no_title(text: str) -> None:
    article = read_article(text)
    assert article.title == LEAD
    assert article.stamp is None
    assert article.body.startswith(LEAD)
    assert article.body.endswith(MORE)


def test_dates_of_neighbours_and_of_the_body_are_not_the_articles() -> None:
    article = read_article(NEIGHBOURS)
    assert article.title == "Rally Lifts Foundries as Plants Fill"
    assert article.stamp is None
    assert article.body == f"{LEAD}\n\n{MORE}"


def test_a_foreign_disclaimer_goes_but_a_foreign_article_stays() -> None:
    chinese = "示例晶圆厂周一表示，第二座工厂将提前一年投产，因为国内三家设计公司的订单已经填满第一座工厂的产能。"
    text = f"示例晶圆厂提前投产\n\n{chinese}\n\nThis translation was made by a machine and may contain errors.\n"
    article = read_article(text)
    assert article.title == "示例晶圆厂提前投产"
    assert article.body == chinese


def test_a_tail_mark_near_the_top_takes_only_its_line() -> None:
    article = read_article(f"Foundry Opens Plant\n\nRelated Articles\n\n{LEAD}\n\n{MORE}\n")
    assert article.body == f"{LEAD}\n\n{MORE}"


def test_without_a_title_line_the_first_sentence_is_cut_at_a_word() -> None:
    long = "The plant " + "of the company in the east " * 20 + "opens. It is new."
    title = read_article(long).title
    assert len(title) <= 300
    assert title.endswith("…")
    assert long.startswith(title[:-1] + " ")
    assert read_article("U.S. chips rose 3.5% on Monday. Others fell.").title == "U.S. chips rose 3.5% on Monday."


def test_windows_line_ends_and_tags_change_nothing() -> None:
    assert read_article(TITLED.replace("\n", "\r\n")) == read_article(TITLED)


def test_nothing_gives_nothing() -> None:
    assert read_article("\n \n").title == ""
