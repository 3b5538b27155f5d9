"""A prediction as an HTML card, for notebooks."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from hierpets.errors import ImageError
from hierpets.messages.breeds import local_name
from hierpets.messages.catalogue import number
from hierpets.text import percent

if TYPE_CHECKING:
    from hierpets.inference.prediction import Prediction

__all__ = ["render_card"]

THUMBNAIL = 320  # pixels of the longer side; shown at half that height, for high-resolution screens
_BAR = (
    '<div style="display:flex;align-items:center;gap:.5em;font-size:90%">'
    '<span style="width:13em;overflow:hidden;text-overflow:ellipsis;white-space:nowrap">{name}</span>'
    '<span style="flex:none;width:9em;background:rgba(128,128,128,.2);border-radius:3px">'
    '<span style="display:block;height:.8em;border-radius:3px;background:#3b7dd8;width:{percent:.1f}%"></span></span>'
    "<span>{shown}</span></div>"
)


def render_card(prediction: Prediction) -> str:
    """The card: a thumbnail if the photo can be read, the prediction, bars of the top leaves, shampoo and regions."""
    decision, advice = prediction.decision, prediction.recommendation
    parts = [f"<div><code>{escape(prediction.path)}</code></div>"]
    parts.append(f"<div><b>{escape(prediction.headline())}</b></div>")
    parts += [_bar(local_name(*leaf) or str(leaf), p) for leaf, p in (decision.top if decision else ())]
    if prediction.warning is not None:
        parts.append(f"<div><b>warning</b>: {escape(prediction.warning)}</div>")
    if advice is not None:
        product = f"<b>{escape(advice.name)}</b>: " if advice.name else ""
        parts.append(f'<div style="margin-top:.4em;max-width:34em">{product}{escape(advice.reason)}</div>')
    if prediction.regions:
        items = "".join(f"<li>{escape(str(region))}</li>" for region in prediction.regions)
        parts.append(f'<ol style="margin-top:.4em">{items}</ol>')
    return (
        '<div style="display:flex;gap:1em;align-items:flex-start">'
        f"{_thumbnail(prediction)}<div>{''.join(parts)}</div></div>"
    )


def _bar(name: str, p: float) -> str:
    return _BAR.format(name=escape(name.replace("_", " ")), percent=100 * p, shown=number(percent(p)))


def _thumbnail(prediction: Prediction) -> str:
    if prediction.photo is None or prediction.error is not None:
        return ""
    from hierpets.data.photos import read_photo
    from hierpets.thumbnails import data_uri

    try:
        photo = read_photo(prediction.photo, shorter_side=THUMBNAIL)
    except ImageError:  # deleted since
        return ""
    style = f"height:{THUMBNAIL // 2}px;max-width:{THUMBNAIL}px;object-fit:contain"
    return f'<img alt="" style="{style}" src="{data_uri(photo, THUMBNAIL)}">'
