"""Themes and events by rules: each with headlines that have it and headlines that only look like it."""

from __future__ import annotations

import re
import tomllib
from importlib import resources

import pytest

from chipwire.signals.themes import READ_CHARACTERS, THEMES, ThemeRules, load_theme_rules

TEXT = resources.files("chipwire.signals").joinpath("themes.toml").read_text("utf-8")
FAMILIES = {
    f"{script}.{name}": words
    for script, families in tomllib.loads(TEXT)["chips"].items()
    for name, words in families.items()
}
WORDS = [word for words in FAMILIES.values() for word in words]

THEME = {
    "ai_models": [
        "OpenAI ships a reasoning model",
        "Alibaba's Qwen3 tops a leaderboard",
        "Demand for AI inference outruns supply",
        "DeepSeek upends the economics of LLMs",
        "China's chatbots gain users",
        "Cloud firms compete on token prices",
        "百度文心大模型降价",
        "算力租赁价格上涨",
    ],
    "localization": [
        "Beijing pushes self-reliance in semiconductors",
        "China's Big Fund starts its third phase",
        "Carmakers are told to avoid buying foreign chips",
        "Beijing bans foreign AI chips from state-funded data centres",
        "Huawei's Kirin returns",
        "SMIC said to make 5nm chips",
        "Domestic GPU makers race to list",
        "国产芯片替代加速",
        "昇腾集群上线",
    ],
    "sanctions": [
        "Washington adds 20 firms to the entity list",
        "US bans sales of AI chips to China",
        "Nvidia needs a licence to ship to China",
        "Beijing restricts gallium exports",
        "Commerce Department revokes Intel's licence for Huawei",
        "Tariffs on chips loom",
        "China opens an antitrust probe into Qualcomm",
        "美国收紧出口管制",
        "实体清单新增企业",
    ],
}

NO_THEME = [
    "AMD names a finance chief",
    "Nvidia's gaming cards sell out",
    "Model railways find new fans",
    "Car models recalled over brakes",
    "Fashion models strike in Milan",
    "Domestic flights resume",
    "Ascend the stairs to better health",
    "Big fundraiser for a school",
    "City bans plastic bags",
    "Court blocks a pipeline",
    "School bars phones in class",
    "Driving licence fees rise",
    "Bar exam results are out",
    "三星手机新品发布",
    "台积电财报",
]

EVENT = {
    "entity_listing": [
        "US puts a dozen chip firms on the entity list",
        "Pentagon adds a memory maker to its 1260H list",
        "多家公司被列入实体清单",
    ],
    "relaxation": [
        "Washington lifts curbs on chip design software",
        "US approves H20 sales",
        "US to allow Nvidia to resume H20 sales",
        "Trump plans to scrap the diffusion rule",
        "美国放宽出口限制",
        "商务部批准H200出口",
    ],
    "tool_ban": [
        "Netherlands restricts exports of DUV lithography",
        "US curbs chipmaking equipment sales to China",
        "Japan limits chip tools for China",
        "对华光刻机出口管制",
    ],
    "probe": [
        "Beijing opens an antitrust investigation into Nvidia",
        "Regulators summon Nvidia over H20 backdoors",
        "反垄断机构对高通立案调查",
    ],
    "retaliation": ["China curbs exports of gallium and germanium", "中方宣布稀土反制措施"],
    "tariff": ["Trump threatens a 100% tariff on chips", "Section 232 duties on semiconductors near", "关税升级"],
    "chip_sale_ban": [
        "US bars Nvidia from selling H20 chips to China",
        "Nvidia told to stop H800 shipments at once",
        "US tightens export controls on AI accelerators",
        "US won't allow Nvidia to sell Blackwell in China",
        "AMD's MI308 falls under licence requirement",
        "英伟达芯片对华断供",
    ],
    "security": ["Researchers find a backdoor in a GPU driver", "Intel patches a vulnerability", "芯片存在后门"],
    "lawsuit": ["Netlist wins a jury verdict against Samsung", "SMIC is sued in a class action", "员工起诉寒武纪"],
    "risk_warning": [
        "Cambricon issues a risk warning on its share price",
        "Cambricon warns that its shares may deviate from fundamentals",
        "寒武纪发布股票交易风险提示公告",
    ],
    "guidance": [
        "TSMC raises its full-year outlook",
        "AMD forecasts revenue above estimates",
        "Nvidia lifts its sales outlook",
        "华虹半导体预计三季度毛利率",
    ],
    "earnings": ["SMIC's quarterly profit tops estimates", "Nvidia's revenue doubles", "中芯国际净利润增长"],
    "sales_figures": ["TSMC posts July sales", "TSMC's July sales rise a quarter", "台积电公布月度营收"],
    "rating": ["Broker downgrades AMD to hold", "Goldman lifts its price target on SMIC", "高盛上调中芯目标价"],
    "state_funding": ["Intel gets a Chips Act award", "US takes a government stake in Intel", "大基金三期注资"],
    "procurement": [
        "ByteDance places orders worth billions for Ascend chips",
        "Beijing urges tech firms to buy local chips",
        "运营商服务器集采结果公布",
    ],
    "merger": [
        "Hygon to merge with Sugon",
        "Qualcomm makes a takeover approach to Intel",
        "AMD to buy a server maker for five billion",
        "海光信息换股吸收合并中科曙光",
    ],
    "cheap_model_shock": [
        "DeepSeek trains a rival model at a fraction of the cost",
        "Alibaba slashes prices of its models",
        "Cheap Chinese AI model rattles Wall Street",
        "低成本大模型冲击算力股",
    ],
    "model_launch": ["Alibaba unveils Qwen3", "DeepSeek releases V3.1 model", "百度发布文心大模型5.0"],
    "capex": ["Tencent doubles its capex", "TSMC to invest $100 billion in Arizona", "阿里宣布投资3800亿元"],
    "supply_deal": [
        "Samsung signs a chip contract with Tesla",
        "AMD partners with a Saudi firm",
        "寒武纪与商汤达成合作",
    ],
    "product_launch": ["Huawei unveils its Ascend 950 accelerator", "华为发布新款手机"],
    "production": ["SK hynix starts mass production of HBM4", "SMIC's yields improve", "长江存储产能扩张"],
    "management": ["Intel CEO Gelsinger steps down", "Intel names Lip-Bu Tan chief executive", "中芯国际董事长辞职"],
    "listing": ["Moore Threads files for a Shanghai listing", "Hygon's IPO is priced", "摩尔线程科创板上市"],
}

NO_EVENT = [
    "Nvidia shares end flat",
    "Why I own AMD",
    "Intel at a crossroads",
    "Bank of America likes this chip stock",
    "Barclays and a GPU maker's bargain bin",
    "East Asia's chip belt",
    "A better stock to buy: AMD or Intel?",
    "Malware runs rampant on phones",
    "This phone model is cheaper than last year's",
    "New power limit for a gaming GPU",
    "Blockchain fans like GPUs",
    "Not a good sign for a chip stock",
    "芯片板块午后拉升",
]

CONTRARY = [
    ("US bars sales of AI chips to China, denies easing", True),
    ("Commerce Department denies it will revoke Intel's licence", True),
    ("Nvidia has no plans to stop shipments to China", True),
    ("Washington scraps its curbs on chip exports", True),
    ("TSMC's acquisition of a Japanese fab is cancelled", True),
    ("Court rejects the lawsuit against AMD", True),
    ("Micron delays its investment of $10 billion in Idaho", True),
    ("英伟达否认将停止采购", True),
    ("消息称出口管制暂缓", True),
    ("寒武纪未被列入实体清单", True),
    ("US bans sales of AI chips to China", False),
    ("SK hynix starts mass production of HBM4", False),
    ("中芯国际董事长辞职", False),
    ("AMD denies nothing, says nothing", False),  # no event that could be turned over
]

OF_CHIPS = {
    "words.parts": ["Washington bans AI accelerators", "Tariffs on semiconductors loom", "A start-up tests chiplets"],
    "words.lines": ["Engineers stay away and 28nm starts stop", "Eight-inch quotes ease", "A foundry adds shifts"],
    "words.memory": ["Memory prices soar", "DDR5 gets dearer again", "Hyped HBM4E slips", "SSDs are sold out"],
    "words.tools": [
        "Beijing restricts gallium exports",
        "Photoresist runs short",
        "Etchers wait in port",
        "Neon is dear",
    ],
    "words.compute": ["Data centers run out of power", "A cheap LLM rattles markets", "Idle racks pile up in Ohio"],
    "words.labs": ["OpenAI raises cash", "Zhipu halves its fees", "Meta lifts its budget", "A reprieve for TikTok"],
    "words.products": ["Epyc outsells its rival", "Snapdragon loses a design", "H20 is back", "GB300 runs hot"],
    "words.firms": ["CXMT lists", "YMTC hires", "MediaTek gains share", "Biren seeks cash", "Lam raises its forecast"],
    "words.trade": ["Commerce drops a waiver", "A new duty from May", "Smuggling trial opens", "BIS adds 40 entities"],
    "words.home": ["Foreign boxes must go by June", "Home-grown wins the contest", "Buy European, says a draft"],
    "words.places": ["Hsinchu shakes", "Veldhoven waits", "Blackout in Hwaseong", "An unhappy Chinese buyer"],
    "words.devices": ["Phones: sales fall again", "Handsets are back", "Tax on whatever sits inside consoles"],
    "chinese.parts": ["晶片股走强", "半導體展開幕", "新竹停电", "代工报价回升", "英寸片紧缺"],
    "chinese.tools": ["存储价格上涨", "記憶體報價走高", "合约价再涨一成", "光刻胶交期拉长", "部件清点"],
    "chinese.compute": ["国内机房抢电", "算力券发放", "旧卡也能跑", "雲端業者加碼", "资本支出下调"],
    "chinese.firms": ["长鑫递表", "摩尔线程过会", "聯發科法說", "微软缩减租约", "萝卜快跑停运"],
    "chinese.trade": ["关税落地", "许可发放", "出口放行", "一批走私案开庭", "斷供三個月", "海牙重新审议许可"],
    "chinese.home": ["国产方案上线", "央企换机截止", "招标文件更正", "信创名录更新"],
    "chinese.devices": ["手机销量回暖", "换机潮来了", "电脑又好卖了"],
}

NOT_OF_CHIPS = [
    "Farmers expect a good harvest",
    "Painting sells for a record sum",
    "Chipmunks invade a garden",
    "Said and done: the mayor resigns",
    "Local bakery opens a second shop",
    "The film premieres in Venice",
    "Call of Duty returns in autumn",
    "Flash floods close two roads",
    "Credit card debt keeps growing",
    "Google honours a poet with a doodle",
    "Apple pie wins the village fair",
    "Schools take phones away at the gate",
    "A fashion model opens a café",
    "Foreign students fill the lecture rooms",
    "Domestic flights resume after the storm",
    "A chef called Lam earns a star",
    "Applied arts school opens its doors",
    "Clerk of works finds an old cellar",
    "暴雨预警升级",
    "央行宣布降准",
    "信用卡逾期怎么办",
    "推理小说新作上架",
    "国产剧海外热播",
    "新买的手机壳真好看",
    "救援达到世界先进水平",
    "书店清单里的好书",
    "名单公布:新生报到",
    "",
]


def _alone(word: str) -> re.Pattern[str]:
    chinese = re.search("[\u4e00-\u9fff]", word)
    return re.compile(word if chinese else f"(?<![a-z0-9])(?:{word})(?![a-z0-9])", re.ASCII)


ALONE = {word: _alone(word) for word in WORDS}
OTHERS = [
    _alone(word)
    for families in tomllib.loads(TEXT)["other_senses"].values()
    for words in families.values()
    for word in words
]


def _found(text: str, words: list[str]) -> bool:
    """Return whether one of the words is found, each looked for by itself."""
    return any(ALONE[word].search(text.lower()) for word in words)


@pytest.mark.parametrize(("theme", "text"), [(theme, text) for theme, texts in THEME.items() for text in texts])
def test_a_headline_of_a_theme_has_it_in_any_case(theme: str, text: str) -> None:
    for written in (text, text.upper(), text.lower()):
        assert load_theme_rules().read(written).themes[theme] == 1.0


@pytest.mark.parametrize("text", NO_THEME)
def test_other_headlines_have_no_theme(text: str) -> None:
    assert load_theme_rules().read(text).themes == dict.fromkeys(THEMES, 0.0)


@pytest.mark.parametrize(("event", "text"), [(event, text) for event, texts in EVENT.items() for text in texts])
def test_the_event_of_a_headline_is_recognised(event: str, text: str) -> None:
    reading = load_theme_rules().read(text)
    assert (reading.event, reading.p_event) == (event, 1.0)


@pytest.mark.parametrize("text", NO_EVENT)
def test_other_headlines_have_no_event(text: str) -> None:
    reading = load_theme_rules().read(text)
    assert (reading.event, reading.p_event) == (None, None)


def test_every_theme_and_event_of_the_file_has_its_cases_here() -> None:
    table = tomllib.loads(TEXT)
    assert set(table["theme"]) == {*THEMES, "none"}
    assert set(THEME) == set(THEMES)
    assert sorted(part["name"] for part in table["event"]) == sorted(EVENT)


def test_a_headline_may_have_several_themes() -> None:
    reading = load_theme_rules().read("DeepSeek picks domestic chips as US export curbs bite")
    assert reading.themes == {"ai_models": 1.0, "localization": 1.0, "sanctions": 1.0}


def test_all_themes_have_a_positive_half_life_and_any_change_changes_the_identity() -> None:
    rules = load_theme_rules()
    assert set(rules.half_life_days) == {*THEMES, "none"}
    assert min(rules.half_life_days.values()) > 0
    assert ThemeRules(TEXT).id == rules.id
    assert ThemeRules(TEXT + "# more").id != rules.id


def test_patterns_are_in_lower_case_and_none_can_run_away() -> None:
    """An upper-case letter would find nothing; a repeated group of unbounded parts takes exponential time."""
    table = tomllib.loads(TEXT)
    parts = [*table["theme"].values(), *table["event"], table["contrary"]]
    patterns = [*WORDS, *(pattern for part in parts for pattern in part["patterns"])]
    assert len(patterns) > 100
    for pattern in patterns:
        assert not re.search(r"(?<!\\)[A-Z]", pattern), pattern
        assert not re.search(r"[+*}]\)[+*]", pattern), pattern
        gaps = re.findall(r"\.[+*]", pattern)
        assert not gaps or (gaps == [".*"] * 2 and pattern.startswith("^(?!.*")), pattern


@pytest.mark.parametrize("word", ["ban ", "ai ", "quarterly ", "launch ", "ceo ", "x", " ", "模型", "\U0001f600", "\0"])
def test_a_very_long_title_is_read_at_its_beginning_only(word: str) -> None:
    rules = load_theme_rules()
    filler = (word * 10_000)[:10_000]
    assert rules.read(filler + " entity list") == rules.read(filler[:READ_CHARACTERS])
    assert rules.read("x " * (READ_CHARACTERS // 2 - 10) + "entity list").event == "entity_listing"
    assert rules.read("").event is None


@pytest.mark.parametrize(("text", "contrary"), CONTRARY)
def test_a_denied_or_averted_event_is_contrary(text: str, contrary: bool) -> None:
    for written in (text, text.upper()):
        assert load_theme_rules().read(written).contrary is contrary


@pytest.mark.parametrize("text", [text for texts in OF_CHIPS.values() for text in texts])
def test_a_text_about_chips_is_worth_reading_though_it_names_nobody(text: str) -> None:
    assert all(load_theme_rules().speaks_of_chips(written) for written in (text, text.upper(), text.lower()))


@pytest.mark.parametrize("family", OF_CHIPS)
def test_every_family_of_words_finds_something_that_no_other_finds(family: str) -> None:
    assert set(OF_CHIPS) == set(FAMILIES)
    others = [word for other, words in FAMILIES.items() if other != family for word in words]
    assert any(_found(text, FAMILIES[family]) and not _found(text, others) for text in OF_CHIPS[family])


@pytest.mark.parametrize("text", ["DRAM合约", "严查GPU外流", "对华H20放行", "三季度HBM4E送样", "仅EUV受限"])
def test_a_latin_word_beside_a_chinese_character_stands_alone(text: str) -> None:
    assert load_theme_rules().speaks_of_chips(text)


@pytest.mark.parametrize("word", sorted(word for word in WORDS if re.fullmatch("[a-z0-9]+", word)))
def test_each_word_is_found_whole_and_only_whole(word: str) -> None:
    rules = load_theme_rules()
    assert all(rules.speaks_of_chips(text) for text in (word, f"A {word.upper()}, again", f"新{word}来了", f"({word})"))
    assert not rules.speaks_of_chips(f"qq{word}qq")


def test_gathered_words_find_what_they_find_one_by_one() -> None:
    rules = load_theme_rules()
    for text in (*NOT_OF_CHIPS, *NO_THEME, *NO_EVENT, *(text for texts in THEME.values() for text in texts)):
        elsewhere = any(word.search(text.lower()) for word in OTHERS)
        assert rules.speaks_of_chips(text) is (_found(text, WORDS) and not elsewhere), text


def test_each_word_begins_with_a_character_by_which_it_is_gathered_and_stands_once() -> None:
    assert len(WORDS) > 500
    assert len(set(WORDS)) == len(WORDS)
    for word in WORDS:
        choices = re.match(r"\(\?:([^()]*)\)", word)
        for begins in choices[1].split("|") if choices else [word]:
            spelled = begins + (word[choices.end() :] if choices else "")
            assert re.match(r"[^\W_](?![?*+{|])", spelled), word


OTHER_SENSES = {
    "words.food": ["Potato chips get dearer in Antwerp", "Bakery sells wafers shaped like fabs"],
    "words.craft": [
        "Wood chips pile up in a Finnish port",
        "Iron foundry lights its last furnace",
        "Landing gear fails again",
    ],
    "words.play": ["Casino sues over stolen chips", "Golf: a chip and two putts win it"],
    "words.body": ["Memory clinics open in three towns", "Dogs to get chips by law"],
    "words.papers": ["Armenian dram steadies", "Fishing licences for sale again", "Gift cards spared from the levy"],
    "words.offers": ["Lifetime licence for an office suite at 20 dollars", "Prime Day servers of coffee"],
    "chinese.food": ["薯片涨价 国产品牌跟进"],
    "chinese.lore": ["寺里的服务器也要礼佛"],
}


@pytest.mark.parametrize("family", OTHER_SENSES)
def test_a_title_with_a_word_of_the_trade_in_another_sense_is_not(family: str) -> None:
    others = tomllib.loads(TEXT)["other_senses"]
    assert set(OTHER_SENSES) == {f"{script}.{name}" for script, families in others.items() for name in families}
    script, name = family.split(".")
    for text in OTHER_SENSES[family]:
        assert _found(text, WORDS), text  # it would be read, were it not for the other sense
        assert any(_alone(word).search(text.lower()) for word in others[script][name]), text
        assert not load_theme_rules().speaks_of_chips(text), text


@pytest.mark.parametrize("text", NOT_OF_CHIPS)
def test_a_text_about_other_things_is_not(text: str) -> None:
    assert not load_theme_rules().speaks_of_chips(text)


def test_whether_a_text_is_about_chips_is_read_at_its_beginning_only() -> None:
    rules = load_theme_rules()
    assert rules.speaks_of_chips("x " * (READ_CHARACTERS // 2 - 10) + "wafers")
    assert not rules.speaks_of_chips("x " * READ_CHARACTERS + "wafers")
