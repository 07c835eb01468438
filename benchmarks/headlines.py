"""Makes files of headlines of our own words, the same for the same seed."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

_WHO = ("Nvidia", "AMD", "SMIC", "TSMC", "Hua Hong", "Cambricon", "a Dutch toolmaker", "the ministry", "Intel")
_WHAT = ("raises", "cuts", "confirms", "denies", "reviews", "delays", "doubles", "halts", "plans", "reports")
_WHICH = ("its outlook", "chip orders", "a new fab", "export plans", "wafer prices", "an AI model", "its stake")
_WHERE = ("in Shanghai", "in Arizona", "after the close", "for the third quarter", "amid curbs", "on strong demand")


def headlines(count: int, seed: int = 7) -> Iterator[tuple[str, str, str]]:
    """Yield (instant, title, url); every hundredth repeats the one before."""
    draw = random.Random(seed)  # noqa: S311 - not for secrets
    at = datetime(2020, 1, 1)  # noqa: DTZ001 - written as UTC below
    row = ("", "", "")
    for number in range(count):
        at += timedelta(seconds=draw.randrange(1, 300))
        if number % 100 or not number:
            words = (draw.choice(_WHO), draw.choice(_WHAT), draw.choice(_WHICH), draw.choice(_WHERE))
            row = (f"{at:%Y-%m-%dT%H:%M:%SZ}", f"{' '.join(words)}, item {number}", f"https://example.com/{number}")
        yield row


def write_csv(path: Path, count: int) -> None:
    """Write `count` rows with the columns published, title, url."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("published", "title", "url"))
        writer.writerows(headlines(count))


def write_jsonl(path: Path, count: int) -> None:
    """Write `count` JSON objects, one a line."""
    with path.open("w", encoding="utf-8") as file:
        for published, title, url in headlines(count):
            file.write(json.dumps({"published": published, "title": title, "url": url}) + "\n")
