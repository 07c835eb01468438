"""The reader: who is named is read where named, who is moved though not named by the table, and else it abstains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import numpy as np
import pytest

from chipwire.data.errors import BadModel
from chipwire.data.universe import Issuer, Universe, load_universe
from chipwire.signals.exposure import ExposureTable, load_exposures
from chipwire.signals.exposure_rows import COLUMNS
from chipwire.signals.models import Item, ModelCard, Readings, load_model
from chipwire.signals.reading import NEWS, HeadlineReading, Reader, TargetReading, Title

EVENTS = ("none", "chip_sale_ban", "relaxation")
TABLE = """
chip_sale_ban,*,/h20/,siyuan_maker,+1,0.8,2022-10-07,a ban leaves the market to it
chip_sale_ban,*,/h20/,gpu_seller,-1,0.5,2024-01-01,its chips are barred
"""


class FakeModel:
    """Gives each target a P(negative) of its own, by the number of places where it is named; keeps what it is asked."""

    def __init__(self, languages: tuple[str, ...] = ("en", "zh"), *, whole: bool = True) -> None:
        self.card = ModelCard("fake", languages, EVENTS if whole else (), None, "0" * 64)
        self.asked: list[Item] = []
        self._whole = whole

    def read(self, items: Sequence[Item]) -> Readings:
        self.asked += items
        named = np.array([len(spans) for item in items for spans in item.targets], dtype=float)
        sentiment = np.stack([0.25 * named, 0.5 + 0 * named, 0.5 - 0.25 * named], axis=1).reshape(-1, 3)
        if not self._whole:
            return Readings(sentiment, np.ones(len(named)))
        bans = np.array([0.75 * ("ban" in item.text.split() or "禁售" in item.text) for item in items])
        denied = np.array([float("denies" in item.text) for item in items])
        nothing = 0 * bans
        return Readings(
            sentiment,
            np.full(len(named), 0.625),
            np.stack([nothing, nothing + 0.125, bans], axis=1),
            np.stack([1 - bans, bans, nothing], axis=1),
            np.stack([denied, nothing, 1 - denied], axis=1),
            np.stack([1 - nothing, nothing], axis=1).astype(np.float32),
        )


@pytest.fixture(scope="module")
def exposures(tmp_path_factory: pytest.TempPathFactory) -> ExposureTable:
    path: Path = tmp_path_factory.mktemp("exposures") / "exposure.csv"
    path.write_text(",".join(COLUMNS) + TABLE, "utf-8")
    return load_exposures(path, load_universe())


@pytest.fixture
def reader(exposures: ExposureTable) -> Reader:
    return Reader(FakeModel(), load_universe(), exposures=exposures)


def one(reader: Reader, title: str, language: str = "en", **more) -> HeadlineReading:
    (found,) = reader.read([Title(title, language, **more)])
    return found


def by_issuer(reading: HeadlineReading) -> dict[str, TargetReading]:
    return {target.issuer: target for target in reading.targets}


def test_what_becomes_of_an_issuers_roles_is_added_up(exposures: ExposureTable) -> None:
    universe = load_universe()
    roles = tuple(sorted(universe.issuers["NVIDIA"].roles))
    model = FakeModel()
    model.card = replace(model.card, roles=(*roles, "another"))
    evidence = np.arange(3.0 * (len(roles) + 1)).reshape(-1, 3) / 7

    read = model.read

    def with_roles(items: Sequence[Item]) -> Readings:
        return replace(read(items), roles=np.stack([evidence] * len(items)))

    model.read = with_roles
    reader = Reader(model, universe, exposures=exposures)
    asked = []
    reader.exposures = SimpleNamespace(read=lambda *given: asked.append(given) or [])
    one(reader, "Export rules for chips")
    seen = asked[0][5]
    # Softmax of the sum over its roles, by hand; an issuer with none of them is not seen.
    total = np.exp(evidence[: len(roles)].sum(axis=0))
    assert seen["NVIDIA"] == pytest.approx(tuple(total / total.sum()))
    assert "SMIC" not in seen


def test_who_is_named_is_read_where_named_and_who_is_not_by_the_table(reader: Reader) -> None:
    found = one(reader, "Nvidia hit: Washington plans a ban on Nvidia H20 sales")
    targets = by_issuer(found)
    assert {issuer: target.via for issuer, target in targets.items()} == {
        "NVIDIA": "direct",
        "CAMBRICON": "exposure",
        "AMD": "exposure",
    }
    nvidia = targets["NVIDIA"]
    assert (nvidia.probabilities, nvidia.relevance, nvidia.sentiment) == ((0.5, 0.5, 0.0), 0.625, -0.5)
    assert nvidia.reason == "named as 'Nvidia'; chip sale ban"
    # P(ban) 0.75, and what is said of Nvidia (bad 0.5, nothing 0.5) agrees with it by 0.5 + 0.5 / 2; row's weight 0.8.
    likely = 0.75 * 0.75 / (0.75 * 0.75 + 0.25 * 0.5)
    assert targets["CAMBRICON"].probabilities == pytest.approx((0.0, 1 - likely * 0.8, likely * 0.8))
    assert targets["AMD"].sentiment == pytest.approx(-likely * 0.5)
    assert (targets["AMD"].relevance, targets["AMD"].reason) == (0.5, "its chips are barred")
    assert (found.event, found.p_event, found.themes["sanctions"], found.abstained) == (
        "chip_sale_ban",
        0.75,
        0.75,
        None,
    )


def unsure(exposures: ExposureTable, relevance: float = 0.375, **more) -> Reader:
    """Return a reader whose model takes what stands at the beginning of a text for no company."""
    model = FakeModel()
    model.card = replace(model.card, least_meant=0.25)
    read = model.read

    def doubting(items: Sequence[Item]) -> Readings:
        firsts = [min(spans, default=(0, 0))[0] for item in items for spans in item.targets]
        meant = np.array([0.25 * (first > 0) for first in firsts])
        return replace(read(items), relevance=np.full(len(firsts), relevance), meant=meant)

    model.read = doubting
    return Reader(model, load_universe(), exposures=exposures, **more)


def test_a_name_that_means_something_else_is_not_the_companys(exposures: ExposureTable) -> None:
    reader = unsure(exposures)
    found = one(reader, "Intel of three pies")
    assert (found.abstained, found.targets) == ("the name in it means something else", ())
    assert found.unmeant == ("INTEL",)
    # Such a title may be about chips all the same, and move who is then not named.
    found = one(reader, "Nvidia of the alley: a ban on H20 exports")
    assert {target.issuer for target in found.targets} == {"CAMBRICON", "NVIDIA", "AMD"}
    assert {target.via for target in found.targets} == {"exposure"}
    assert one(reader, "Intel of three pies and of H20 cakes").abstained == "the name in it means something else"


@pytest.mark.parametrize(
    ("title", "named"),
    [
        ("Intel of three pies and AMD", ["INTEL", "AMD"]),  # companies keep company
        ("Intel of three pies sinks its shares", ["INTEL"]),
        ("Intel of three pies and its wafers", ["INTEL"]),  # words of chips
        ("Intel of three pies adds firmware", ["INTEL"]),
        ("英特尔三个馅饼的股价", ["INTEL"]),
        ("英特爾三個餡餅的營收", ["INTEL"]),  # in traditional characters
        ("Intel馅饼用RTX5090烤", ["INTEL"]),
        ("INTC.O of three pies", ["INTEL"]),  # an exchange
        ("A pie of Intel", ["INTEL"]),  # the model
    ],
)
def test_what_vouches_for_a_name(exposures: ExposureTable, title: str, named: list[str]) -> None:
    found = one(unsure(exposures), title)
    assert ([target.issuer for target in found.targets], found.unmeant) == (named, ())


def test_in_news_behind_a_mask_and_with_names_below_the_title_a_name_is_the_companys(exposures: ExposureTable) -> None:
    title = "Intel of three pies"
    for reader in (unsure(exposures, relevance=NEWS), unsure(exposures, masked=True)):
        assert [target.issuer for target in one(reader, title).targets] == ["INTEL"]
    found = one(unsure(exposures), title, also=("AMD",))
    assert [target.issuer for target in found.targets] == ["INTEL", "AMD"]
    # What the text below the title says of the same issuer is not asked.
    assert one(unsure(exposures), title, also=("INTEL",)).unmeant == ("INTEL",)


@pytest.mark.parametrize(
    "title",
    ["Intel semi-final of three pies", "Intel xenial pies", "Intel pies by the lake", "英特尔馅饼更新世生态系统"],
)
def test_words_that_only_begin_like_one_of_the_trade_vouch_for_nobody(exposures: ExposureTable, title: str) -> None:
    assert one(unsure(exposures), title).unmeant == ("INTEL",)


def test_what_decides_whether_a_name_is_meant_is_part_of_the_readers_id(
    exposures: ExposureTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    sure, doubting = Reader(FakeModel(), load_universe(), exposures=exposures), unsure(exposures)
    before = sure.id, doubting.id
    monkeypatch.setattr("chipwire.signals.contexts.TRADE", ("chips", "life"))
    assert (sure.id == before[0], doubting.id == before[1]) == (False, False)
    assert one(doubting, "Intel of three pies for a chef").unmeant == ()
    before = sure.id, doubting.id
    monkeypatch.setattr("chipwire.signals.reading.NEWS", 0.25)
    assert (sure.id == before[0], doubting.id == before[1]) == (True, False)
    before = sure.id, doubting.id
    monkeypatch.setattr("chipwire.signals.reading.READING_RULES", "another")
    assert (sure.id == before[0], doubting.id == before[1]) == (False, False)


def stirring(exposures: ExposureTable, least: float, **more) -> Reader:
    """Return a reader whose model takes a text to move somebody, if it names nobody, by a fourth for each "H20"."""
    model = FakeModel()
    model.card = replace(model.card, least_alone=least)
    read = model.read

    def telling(items: Sequence[Item]) -> Readings:
        return replace(read(items), alone=np.array([0.25 * item.text.count("H20") for item in items]))

    model.read = telling
    return Reader(model, load_universe(), exposures=exposures, **more)


@pytest.mark.parametrize(
    ("title", "moves"),
    [
        ("A ban on H20 lorries", False),
        ("A ban on H20 lorries, and one on H20 cards", True),
        ("A ban on H20 lorries, says Intel", True),  # it names somebody
    ],
)
def test_a_title_that_names_nobody_moves_them_by_the_mean_of_two_votes(
    exposures: ExposureTable, title: str, moves: bool
) -> None:
    # The model's for one "H20" is 0.25; up and down differ by 0.75 * 0.8 for Cambricon and by less for the others.
    half = (0.25 + 0.75 * 0.8) / 2
    assert "CAMBRICON" in by_issuer(one(stirring(exposures, half - 0.001), title))
    found = one(stirring(exposures, half + 0.001), title)
    assert ("CAMBRICON" in by_issuer(found)) is moves
    assert (found.abstained is None) is moves
    assert found.event == "chip_sale_ban"  # it is read, and stored as read, all the same


@pytest.mark.parametrize("masked", [False, True])
def test_each_title_has_its_own_word_on_whether_it_moves_anybody(exposures: ExposureTable, masked: bool) -> None:
    titles = [Title(f"A ban {n} on H20 lorries{' and H20 cards' * (n % 2)}", "en") for n in range(6)]
    named = [Title(f"A ban {n} on H20 lorries: AMD, Intel", "en") for n in range(3)]
    found = stirring(exposures, 0.5, masked=masked).read([*named, *titles])  # masked, the named are read twice
    assert ["CAMBRICON" in by_issuer(reading) for reading in found] == [True] * 3 + [False, True] * 3


def test_a_model_that_does_not_say_moves_somebody_clearly_or_nobody(
    exposures: ExposureTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, title = Reader(FakeModel(), load_universe(), exposures=exposures), "A ban on H20 lorries"
    telling = stirring(exposures, 0.5)
    before = reader.id, telling.id
    likely = 0.75 * 0.8  # that Cambricon is moved: the event's P times the weight of its row
    for least, moves in ((0.99 * likely, True), (1.01 * likely, False)):
        monkeypatch.setattr("chipwire.signals.reading.LEAST_UNTOLD", least)
        assert ("CAMBRICON" in by_issuer(one(reader, title))) is moves
        assert "CAMBRICON" in by_issuer(one(reader, f"{title}, says Intel"))  # it names somebody
        assert "CAMBRICON" in by_issuer(one(telling, f"{title} and H20 cards"))  # that model says it
    assert (reader.id == before[0], telling.id == before[1]) == (False, True)


def test_a_name_that_means_something_else_does_not_make_a_title_name_somebody(exposures: ExposureTable) -> None:
    model = stirring(exposures, 0.5).model
    model.card = replace(model.card, least_meant=0.25)
    read = model.read

    def doubting(items: Sequence[Item]) -> Readings:
        said = read(items)
        return replace(said, relevance=np.zeros(len(said.sentiment)), meant=np.zeros(len(said.sentiment)))

    model.read = doubting
    reader = Reader(model, load_universe(), exposures=exposures)
    assert one(reader, "Nvidia of the alley: a ban on H20 exports").targets == ()
    assert one(reader, "Nvidia of the alley: a ban on H20 and H20 exports").targets != ()


def test_the_model_is_told_every_place_where_a_target_is_named(reader: Reader) -> None:
    text = "Intel sues AMD; Intel wants damages"
    one(reader, text)
    (item,) = reader.model.asked
    assert [[text[start:end] for start, end in spans] for spans in item.targets] == [["Intel", "Intel"], ["AMD"]]


def test_a_denied_event_moves_them_the_other_way(reader: Reader) -> None:
    targets = by_issuer(one(reader, "Washington denies a ban on H20 sales"))
    assert targets["CAMBRICON"].sentiment == pytest.approx(-0.75 * 0.8)
    assert targets["NVIDIA"].sentiment == pytest.approx(0.75 * 0.5)


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        (date.min, set()),
        (date(2022, 10, 6), set()),
        (date(2022, 10, 7), {"CAMBRICON"}),
        (date(2024, 1, 1), {"CAMBRICON", "NVIDIA", "AMD"}),
        (None, {"CAMBRICON", "NVIDIA", "AMD"}),
    ],
)
def test_exposures_count_from_the_day_on_which_they_hold(reader: Reader, on: date | None, expected: set[str]) -> None:
    found = one(reader, "A ban on H20 sales", on=on)
    assert set(by_issuer(found)) == expected
    assert (found.abstained is None) == bool(expected)


@pytest.mark.parametrize(
    ("title", "language", "reason"),
    [
        ("Nvidia profite de la demande", "fr", "language fr"),
        ("Farmers expect a good harvest", "en", "names no issuer and is not about chips"),
        ("", "und", "names no issuer and is not about chips"),
    ],
)
def test_what_is_not_for_it_is_abstained_from_without_asking_the_model(
    reader: Reader, title: str, language: str, reason: str
) -> None:
    found = one(reader, title, language)
    assert (found.abstained, found.targets, dict(found.themes), found.event) == (reason, (), {}, None)
    assert found.embedding is None
    assert reader.refusal(Title(title, language)) == reason
    assert not reader.model.asked


def test_what_moves_nobody_is_said_to_and_not_made_a_neutral(reader: Reader) -> None:
    found = one(reader, "New chips for toasters")
    assert found.abstained == "names no issuer, and its event moves none of them"
    assert (found.targets, found.event) == ((), None)
    assert reader.refusal(Title("New chips for toasters", "en")) is None


def test_chinese_is_read_where_the_model_reads_it(reader: Reader, exposures: ExposureTable) -> None:
    assert set(by_issuer(one(reader, "美国禁售h20芯片", "zh"))) == {"CAMBRICON", "NVIDIA", "AMD"}
    english = Reader(FakeModel(("en",)), load_universe(), exposures=exposures)
    assert one(english, "美国禁售h20芯片", "zh").abstained == "language zh"
    assert one(english, "Nvidia rises", "und").abstained is None


def test_a_name_from_below_the_title_is_read_from_the_whole_title(reader: Reader) -> None:
    found = one(reader, "Intel cuts jobs", also=("AMD", "INTEL"))
    assert [(target.issuer, target.via) for target in found.targets] == [("INTEL", "direct"), ("AMD", "direct")]
    assert found.targets[1].reason == "named in the text below the title"
    (item,) = reader.model.asked
    assert [len(spans) for spans in item.targets] == [1, 0]


def test_masked_the_model_sees_no_name_and_each_target_in_a_text_of_its_own(exposures: ExposureTable) -> None:
    reader = Reader(FakeModel(), load_universe(), masked=True, exposures=exposures)
    text = "Washington: no ban on H20 sales, AMD and Nvidia told; Nvidia rises"
    masked = by_issuer(one(reader, text))
    assert [item.text for item in reader.model.asked] == [
        "Washington: no ban on H20 sales, TARGET and OTHER told; OTHER rises",
        "Washington: no ban on H20 sales, OTHER and TARGET told; TARGET rises",
    ]
    assert all(
        item.text[start:end] == "TARGET"
        for item in reader.model.asked
        for (spans,) in [item.targets]
        for start, end in spans
    )
    assert masked["AMD"].probabilities == (0.25, 0.5, 0.25)
    assert masked["NVIDIA"].probabilities == (0.5, 0.5, 0.0)
    assert masked["CAMBRICON"].via == "exposure"


def test_masked_or_not_the_order_and_number_of_titles_change_no_reading(exposures: ExposureTable) -> None:
    titles = [
        Title("Nvidia and AMD rise, Nvidia most", "en"), Title("Farmers meet", "en"), Title("A ban on H20 sales", "en"),
        Title("Nvidia s'envole", "fr"), Title("Intel falls", "en"), Title("New chips for toasters", "en"),
    ]  # fmt: skip
    for masked in (False, True):
        reader = Reader(FakeModel(), load_universe(), masked=masked, exposures=exposures)
        together = reader.read(titles)
        alone = [reader.read([title])[0] for title in titles]
        for one_, other in zip(together, alone, strict=True):
            assert (one_.title, one_.abstained, one_.targets) == (other.title, other.abstained, other.targets)
    assert reader.read([]) == []


def in_pieces(model, size: int):
    """Return a model that is given so many texts at a time."""
    model.card = replace(model.card, piece=size)
    return model


@pytest.mark.parametrize("masked", [False, True])
def test_the_shipped_model_reads_in_pieces_what_it_reads_one_by_one(masked: bool) -> None:
    said = ("cuts prices", "denies a ban on H20 sales", "and Samsung win orders from AMD", "names a new chairman")
    titles = [
        *(Title(f"{name} {what}{' again' * n}", "en") for n, name in enumerate(("Nvidia", "SMIC")) for what in said),
        *(Title(f"{name}{what}", "zh") for name in ("中芯国际", "寒武纪和海光") for what in ("下调展望", "获国产大单")),
        Title("Nvidia cuts prices", "en", also=("TSMC",)), Title("Nvidia cuts prices", "en", date(2020, 1, 1)),
        Title("Nvidia s'envole", "fr"), Title("Farmers meet", "en"), Title("GPU sales to China barred", "en"),
    ]  # fmt: skip
    reader = Reader(in_pieces(load_model(), 3), load_universe(), masked=masked)
    together = reader.read(titles)
    assert len({reading.targets for reading in together}) > 12
    for title, found in zip(titles, together, strict=True):
        (alone,) = reader.read([title])
        assert replace(found, embedding=None) == replace(alone, embedding=None)
        assert np.array_equal(found.embedding, alone.embedding)


def test_read_in_pieces_every_title_gets_its_own_reading_and_each_text_is_read_once(exposures: ExposureTable) -> None:
    texts = [f"{'Nvidia ' * (1 + n % 2)}names {n * 7919} chips in a ban on H20 sales" for n in range(23)]
    titles = [Title(text, "en", on) for text in (*texts, *texts[::3]) for on in (None, date(2023, 1, 1))]
    whole = Reader(FakeModel(), load_universe(), exposures=exposures)
    expected = whole.read(titles)
    assert [reading.title for reading in expected] == [title.title for title in titles]
    model = in_pieces(FakeModel(), 4)
    found = Reader(model, load_universe(), exposures=exposures).read(titles)
    for one_, other in zip(found, expected, strict=True):
        assert (one_.title, one_.targets, one_.themes) == (other.title, other.targets, other.themes)
    assert sorted(item.text for item in model.asked) == sorted(texts)
    assert {len(reading.targets) for reading in found} == {2, 3}


def test_the_first_piece_that_a_model_fails_on_fails_the_reading_and_the_next_is_read_again(
    exposures: ExposureTable,
) -> None:
    class Failing(FakeModel):
        def read(self, items: Sequence[Item]) -> Readings:
            for item in items:
                if "fails" in item.text:
                    raise BadModel("fake", f"it stumbles over {item.text}")
            return super().read(items)

    reader = Reader(in_pieces(Failing(), 2), load_universe(), exposures=exposures)
    titles = [Title(f"Nvidia shows chip {'I' * n}", "en") for n in range(12)]
    with pytest.raises(BadModel, match="over Nvidia fails, it is said$"):
        reader.read([Title("Nvidia fails", "en"), *titles, Title("Nvidia fails, it is said", "en")])
    assert [reading.title for reading in reader.read(titles)] == [title.title for title in titles]


def test_who_stops_a_reading_waits_for_two_pieces_at_most(exposures: ExposureTable) -> None:
    model = in_pieces(FakeModel(), 2)
    reader = Reader(model, load_universe(), exposures=exposures)

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    reader._told = stopped  # type: ignore[method-assign]  # stands for a key pressed while a reading is judged
    first, reads = Event(), model.read
    model.read = lambda items: (first.wait(60) if model.asked else None, reads(items))[1]  # type: ignore[method-assign]  # all but the first wait
    with pytest.raises(KeyboardInterrupt):
        reader.read([Title(f"Nvidia shows chip {n}", "en") for n in range(40)])
    first.set()
    reader._workers.shutdown()
    assert len(model.asked) <= 3 * 2


def test_a_model_that_gives_sentiment_alone_gets_themes_and_event_by_rules(exposures: ExposureTable) -> None:
    reader = Reader(FakeModel(whole=False), load_universe(), exposures=exposures)
    found = one(reader, "Washington bans H20 sales to China, Nvidia says")
    assert (found.event, found.p_event, found.themes["sanctions"]) == ("chip_sale_ban", 1.0, 1.0)
    assert found.directions == (0.0, 0.0, 1.0)
    assert by_issuer(found)["CAMBRICON"].sentiment == pytest.approx(0.8)
    denied = one(reader, "Washington denies that it bans H20 sales to China")
    assert denied.directions == (1.0, 0.0, 0.0)
    assert by_issuer(denied)["CAMBRICON"].sentiment == pytest.approx(-0.8)
    assert found.embedding is None


def test_all_that_makes_a_score_is_in_the_readers_identity(exposures: ExposureTable) -> None:
    universe = load_universe()
    foreign = Issuer("FARM", "Farm", (), ("Farm Chips",), (), (), ())
    grown = Universe({**universe.issuers, "FARM": foreign}, universe.instruments, "another digest")
    readers = [
        Reader(FakeModel(), universe, exposures=exposures),
        Reader(FakeModel(), universe, exposures=exposures, masked=True),
        Reader(FakeModel(), universe),
        Reader(FakeModel(), grown, exposures=exposures),
    ]
    assert len({reader.id for reader in readers}) == len(readers)
    assert Reader(FakeModel(), universe, exposures=exposures).id == readers[0].id


@pytest.mark.parametrize(
    "title", ["x" * 10_000, "\U0001f600 Nvidia \U0001f600", "[SEP] AMD [MASK]", "Ｎｖｉｄｉａ 芯片", "\0"]
)
def test_odd_titles_are_read_or_abstained_from(reader: Reader, title: str) -> None:
    found = one(reader, title)
    assert found.title == title
    assert bool(found.targets) == (found.abstained is None)
