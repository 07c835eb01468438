"""Where a name means something else: words beside it, other worlds, and what overrules them."""

from __future__ import annotations

from pathlib import Path

import pytest

from chipwire.data.universe import load_universe
from chipwire.signals.linking import Linker


@pytest.fixture(scope="module")
def linker() -> Linker:
    return Linker(load_universe())


def issuers(linker: Linker, text: str) -> list[str]:
    return [hit.issuer for hit in linker.find(text)]


# The same characters as part of other words, and as the name beside words that begin alike.
RUN_TOGETHER = [
    ("志在振兴中华为民造桥", "其中华为民用业务占三成", "HUAWEI"),
    ("以中华为题的剪纸展开幕", "以其中华为份额最高", "HUAWEI"),
    ("以振兴中华为己任", "曝光华为己方证据，专利案开庭", "HUAWEI"),
    ("外长访华为期三天", "采访华为期间记者获悉扩产", "HUAWEI"),
    ("海思考试辅导班开课", "海思考虑自建封测线", "HUAWEI"),
    ("海思考试辅导班开课", "海思考核指标出炉", "HUAWEI"),
    ("消防演练中芯棒断裂", "中芯板卡获信创订单", "SMIC"),
    ("空心板与中芯板怎么选", "中芯板块午后走强", "SMIC"),
    ("红薯窑中芯部温度控制", "中芯部署十二英寸新线", "SMIC"),
    ("红薯窑中芯部温度控制", "中芯部份产能转向车规", "SMIC"),
    ("中芯小学跑道检测合格", "中芯小幅上调价格", "SMIC"),
    ("彩华虹影落黄山", "华虹影响评估出炉，无锡线扩产", "HUAHONG"),
    ("彩华虹影落黄山", "华虹影子股午后拉升", "HUAHONG"),
    ("华虹老师从教四十年", "华虹老厂转产功率器件", "HUAHONG"),
    ("失联的华虹女士回家了", "华虹女性高管升任总裁", "HUAHONG"),
    ("东海光鱼汛到来", "海光渔光互补项目用上处理器", "HYGON"),
    ("苏轼《海光亭记》摹本", "海光停牌核查", "HYGON"),
    ("英特尔纳雄耐尔响彻公司年会", "英特尔纳入指数成分股", "INTEL"),
    ("舞台积电故障引燃幕布", "财报鼓舞台积电涨停", "TSMC"),
    ("月台台积电费欠缴三年", "台积电费时三年建成熊本厂", "TSMC"),
    ("月台台积电费欠缴三年", "台积电费用率升至十年新高", "TSMC"),
    ("月台台积电费欠缴三年", "台積電費半齊揚", "TSMC"),
    ("阿斯麦片商标官司开庭", "阿斯麦片区总部奠基", "ASML"),
    ("外墙应用材料选购指南", "撞墙应用材料预警：订单见顶", "AMAT"),
    ("道路冷补应用材料短缺", "国产设备填补应用材料空缺", "AMAT"),
    ("大面积泛林火险预警", "泛林火速回应停供传闻", "LRCX"),
    ("文科磊落理科严谨", "商务部发文科磊对华出口受限", "KLAC"),
    ("文科磊落理科严谨", "科磊落地槟城研发中心", "KLAC"),
    ("美光绪年间龙旗拍卖", "美光续签长约", "MICRON"),
    ("美光灯下的寂寞影后", "美光灯塔工厂落成", "MICRON"),
    ("登高通览全城", "高通揽下三星大单", "QCOM"),
    ("龙腾讯报停刊三十年", "年报乌龙腾讯致歉", "TENCENT"),
    ("船舶腾讯号发出求救", "腾讯号召员工返岗", "TENCENT"),
    ("船舶腾讯号发出求救", "腾讯号码安全服务升级", "TENCENT"),
    ("油温百度C烫伤厨师", "百度CEO谈大模型", "BAIDU"),
    ("油温百度C烫伤厨师", "百度C端付费用户破千万", "BAIDU"),
    ("油温百度℃烫伤厨师", "百度智能云增收", "BAIDU"),
    ("回首百度春秋的老店", "百度春节红包开抢", "BAIDU"),
    ("百度旋转！花滑小将失误", "百度旋即回应裁员传闻", "BAIDU"),
    ("少年棒球：三星国小晋级", "三星国产手机份额下滑", "SAMSUNG"),
    ("輝達溪吊橋封閉", "輝達推出新顯卡", "NVIDIA"),
]


@pytest.mark.parametrize(("other", "meant", "issuer"), RUN_TOGETHER)
def test_characters_of_other_words_are_no_name(linker: Linker, other: str, meant: str, issuer: str) -> None:
    assert issuers(linker, other) == []
    assert issuer in issuers(linker, meant)


@pytest.mark.parametrize(
    ("other", "meant", "issuer"),
    [
        ("Tencent coin of 1894 sells for millions", "Tencent coins it in: profit doubles", "TENCENT"),
        ("TSMC, the Telangana council, strikes off doctors", "Telangana courts TSMC for a plant", "TSMC"),
        ("TSMC medical council raids unlicensed practices", "TSMC council of workers wants more pay", "TSMC"),
        ("School of Applied Materials at Leoben expands", "Applied Materials lifts its outlook", "AMAT"),
        ("Free AMD vision tests in March", "AMD machine vision tests at BMW plant pass", "AMD"),
        ("AMD kills trout below the old pit", "AMD pits its new chip against Intel's", "AMD"),
        ("酸性矿水AMD污染河道", "AMD股价面临酸性测试", "AMD"),
    ],
)
def test_a_name_that_others_bear_is_told_by_its_company(linker: Linker, other: str, meant: str, issuer: str) -> None:
    assert issuers(linker, other) == []
    assert issuer in issuers(linker, meant)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Intel Corporation", ["Intel Corporation"]),
        ("Taiwan Semiconductor Manufacturing Co", ["Taiwan Semiconductor Manufacturing"]),
        ("Alibaba Cloud", ["Alibaba Cloud"]),
        ("中芯国际", ["中芯国际"]),
        ("阿里巴巴", ["阿里巴巴"]),
        ("SK海力士", ["SK海力士"]),
        ("字节跳动字节", ["字节跳动", "字节"]),
        ("Samsung Biologics, Samsung", ["Samsung"]),
    ],
)
def test_the_longest_name_wins(linker: Linker, text: str, found: list[str]) -> None:
    assert [hit.matched for hit in linker.find(text)] == found


def test_context_gives_way_to_chips_and_to_an_exchange(linker: Linker) -> None:
    assert issuers(linker, "Pentagon Intel contract") == []
    assert issuers(linker, "Pentagon Intel contract for secure chips") == ["INTEL"]
    assert issuers(linker, "AMD grocery") == []
    assert issuers(linker, "NASDAQ: AMD grocery") == ["AMD"]
    assert issuers(linker, "Retinal scans run on AMD") == []
    assert issuers(linker, "Retinal scans run on AMD GPUs") == ["AMD"]
    assert issuers(linker, "Intel agency buys GPUs") == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Lam's etch tools gain", ["LRCX"]),
        ("Lam and Applied slide as tool orders fade", ["LRCX", "AMAT"]),
        ("Applied sees memory equipment recovering", ["AMAT"]),
        ("KLA, Lam gain", ["KLAC", "LRCX"]),
        ("Lam gains", []),
        ("Frank Lam runs a chip design house", []),
        ("Lam Soon builds a plant", []),
        ("Applied physics of chips", []),
        ("Applied Digital builds a data center", []),
        ("applied and lam, chips", []),
        ("英特尔与超威争夺订单", ["INTEL", "AMD"]),
        ("这把玩具枪超威风", []),
    ],
)
def test_a_short_name_means_the_issuer_only_in_its_trade(linker: Linker, text: str, found: list[str]) -> None:
    assert issuers(linker, text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Kosovo Liberation Army (KLA)", []),
        ("TSM, the Thessaloniki School of Music", []),
        ("Advanced Micro Devices (AMD)", ["AMD", "AMD"]),
        ("Taiwan Semiconductor Manufacturing (TSM)", ["TSMC", "TSMC"]),
        ("KLA (formerly Tencor)", ["KLAC"]),
    ],
)
def test_letters_that_are_spelled_out_as_something_else_are_no_issuer(
    linker: Linker, text: str, found: list[str]
) -> None:
    assert issuers(linker, text) == found


def test_doubtful_names_speak_for_each_other_and_a_sure_one_for_all(linker: Linker) -> None:
    assert issuers(linker, "Veterans of the KLA rally") == []
    assert issuers(linker, "Veterans of the KLA and of Nvidia") == ["KLAC", "NVIDIA"]
    assert issuers(linker, "688256 and 688041") == []
    assert issuers(linker, "688256 leads chip shares") == ["CAMBRICON"]


@pytest.mark.parametrize(
    ("other", "meant"),
    [
        ("TSM reach the semi-final of their league", "TSM tops the league of semi makers"),
        ("Alibaba the rookie quarterback wins again", "Alibaba has a rookie in charge of its quarterly report"),
    ],
)
def test_a_word_that_only_begins_like_one_of_the_trade_lifts_no_doubt(linker: Linker, other: str, meant: str) -> None:
    assert issuers(linker, other) == []
    assert len(issuers(linker, meant)) == 1


def test_a_world_that_nothing_overrules_casts_its_doubt(tmp_path: Path) -> None:
    (tmp_path / "universe.toml").write_text(
        '[issuer.ARM]\naliases = ["arm holdings"]\n[issuer.ARM.not_near]\n"arm holdings" = ["@trades"]\n', "utf-8"
    )
    own = Linker(load_universe(tmp_path))
    assert issuers(own, "arm holdings leads") == ["ARM"]
    assert issuers(own, "arm holdings leads the Academy") == []
