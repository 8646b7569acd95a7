"""docs/cleanup-targets.md is true: its example works, its tables name every target, every floor and every table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps

from cleanup import targets as registered
from cleanup.targets import Target, plans, registry
from newsletters.models import Image, ImageSize
from tests.cleanup import targets
from tests.cleanup.targets import ago

PAGE = (Path(__file__).parents[2] / "docs" / "cleanup-targets.md").read_text()


@pytest.fixture
def example() -> Iterator[str]:
    """The first block of code of the page, registered."""
    code = re.findall(r"```python\n(.*?)```", PAGE, re.S)[0]
    names: dict[str, Any] = {}
    exec(code, names)
    target: Target = names["REFUSED_PICTURES"]
    assert len(code.strip().splitlines()) <= 23, "the example has grown"
    registered.register(target)
    yield target.key
    registry.unregister(target.key)


def picture(state: str, at: datetime) -> Image:
    made = Image.objects.create(state=state, created_at=at, original_name="a.png", problem="It is no picture.")
    made.file.name = f"images/originals/{made.public_id}"
    made.save()
    ImageSize.objects.create(image=made, width=1, height=1, file=f"images/sizes/{made.public_id}-1")
    return made


def on_disk(image: Image, folder: Path) -> list[Path]:
    paths = [folder / str(image.file.name), *(folder / str(one.file.name) for one in image.sizes.all())]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return paths


def test_the_example_does_what_it_says(db: None, example: str, settings: Any, tmp_path: Path) -> None:
    settings.FILES_DIR = settings.MEDIA_ROOT = tmp_path
    old, new, used = picture("refused", ago(100)), picture("refused", ago(3)), picture("ready", ago(100))
    gone, kept = on_disk(old, tmp_path), [*on_disk(new, tmp_path), *on_disk(used, tmp_path)]
    targets.check(example, days=30, takes=[old], leaves=[new, used, *new.sizes.all(), *used.sizes.all()])
    assert not any(path.exists() for path in gone) and all(path.exists() for path in kept)


def test_an_example_that_forgot_its_children_is_refused(example: str) -> None:
    from dataclasses import replace

    target = registered.row_target(example)
    with pytest.raises(registered.IncompletePlan, match="ImageSize"):
        registered.register(replace(target, children=()))


def test_every_target_is_on_the_page_with_its_floor() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| (\d+) days? \|$", PAGE, re.M)
    assert {key: int(days) for key, days in rows} == {one.key: one.floor_days for one in registered.all_targets()}


def test_every_table_of_the_schema_says_who_bounds_it() -> None:
    listed = PAGE.partition("## Who bounds which table")[2]
    named = re.findall(r"`(\w+\.\w+)`", listed)
    assert len(named) == len(set(named)), "a table twice"
    tables = {
        model._meta.label for model in apps.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy
    }  # fmt: skip
    assert set(named) == tables
    keys = set(re.findall(r"`(\w+)`", listed)) - set(named)
    assert keys <= {one.key for one in registered.all_targets()}


def test_no_target_leaves_a_table_out() -> None:
    found = {one.key: list(plans.missing(one)) for one in registered.all_targets() if isinstance(one, Target)}
    assert not any(found.values()), found
    for one in registered.all_targets():
        targets._check_words(one)
