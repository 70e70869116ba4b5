"""Our icons: sixteen units square, drawn in the colour of the text around them."""

from __future__ import annotations

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

_RING = '<circle cx="8" cy="8" r="6.25"/>'

PATHS = {
    # How runs and steps are doing
    "queued": '<circle cx="8" cy="8" r="6.25" stroke-dasharray="2.4 2.5"/>',
    "running": '<circle cx="8" cy="8" r="6.25" opacity=".3"/><path d="M8 1.75A6.25 6.25 0 0 1 14.25 8"/>',
    "waiting": f'{_RING}<path d="M8 4.5V8l2.3 1.6"/>',
    "paused": f'{_RING}<path d="M6.4 5.6v4.8M9.6 5.6v4.8"/>',
    "stopping": f'{_RING}<path d="M6.1 6.1h3.8v3.8H6.1z"/>',
    "succeeded": f'{_RING}<path d="M5.2 8.2l2 2 3.7-4.1"/>',
    "failed": f'{_RING}<path d="M8 4.7v4M8 11.1v.2"/>',
    "cancelled": f'{_RING}<path d="M3.7 12.3l8.6-8.6"/>',
    "interrupted": '<path d="M9.6 1.95A6.25 6.25 0 0 1 9.6 14.05M6.4 14.05A6.25 6.25 0 0 1 6.4 1.95M6 8h4"/>',
    "retrying": '<path d="M13.4 9.5A5.75 5.75 0 1 1 13 5.2M13.6 2v3.6H10"/>',
    "unknown": f'{_RING}<path d="M6.2 6.3a1.85 1.85 0 1 1 2.6 1.7c-.5.2-.8.5-.8 1.1M8 11.2v.2"/>',
    # What a step does
    "provider": '<path d="M4.5 11.8a2.8 2.8 0 0 1-.3-5.6 4 4 0 0 1 7.7.4 2.6 2.6 0 0 1-.4 5.2z"/>',
    "think": '<path d="M8 1.8l1.5 4.7L14.2 8l-4.7 1.5L8 14.2 6.5 9.5 1.8 8l4.7-1.5z"/>',
    "analyze": '<path d="M2.5 13.5h11M4.5 11V7.5M8 11V3M11.5 11V6"/>',
    "reflect": '<path d="M8 2v12M5.5 5L2 11h3.5zM10.5 5L14 11h-3.5z"/>',
    "continue": '<path d="M2.5 8h10M9 4.5L12.5 8 9 11.5"/>',
    "search": '<circle cx="7" cy="7" r="4.5"/><path d="M10.4 10.4L14 14"/>',
    "act": '<path d="M9 1.8L3.4 9H8l-1 5.2L12.6 7H8z"/>',
    "step": '<path d="M3 3h10v10H3z"/>',
    "sleep": '<path d="M13.2 9.6A5.6 5.6 0 1 1 6.4 2.8a4.6 4.6 0 0 0 6.8 6.8z"/>',
    "approve": '<path d="M8 1.8l5 1.8v4.2c0 3-2 5-5 6.4-3-1.4-5-3.4-5-6.4V3.6zM5.6 7.8l1.7 1.7 3.2-3.6"/>',
    "ask": '<path d="M2.5 3h11v7.5H7L4 13.3v-2.8H2.5zM6.6 5.6a1.4 1.4 0 1 1 1.9 1.3c-.4.2-.5.4-.5.8"/>',
    "branch": '<path d="M4 2v12M4 9.5c0-2.5 2-2.5 4-2.5s4-.5 4-3"/><circle cx="12" cy="3" r="1.4"/>',
    "answer": '<path d="M2.5 3h11v7.5H7L4 13.3v-2.8H2.5z"/>',
    "file": '<path d="M3.5 1.8h5.8l3.2 3.2v9.2h-9z M9 2v3.2h3.4"/>',
    # The frame
    "home": '<path d="M2 7.6L8 2.4l6 5.2M3.6 6.6v7h8.8v-7"/>',
    "runs": '<path d="M2.2 3.5h6M5 8h7M3.4 12.5h10.4"/>',
    "agents": '<circle cx="8" cy="5" r="2.8"/><path d="M2.8 14c.4-3 2.4-4.6 5.2-4.6s4.8 1.6 5.2 4.6"/>',
    "approvals": '<path d="M2.2 3h11.6v10H2.2zM5 8.2l2 2 4-4.4"/>',
    "documents": '<path d="M4.5 1.8h7.8v10.4H4.5zM4.5 4H2.8v10.2h7.7v-2M6.8 5h3.2M6.8 7.6h3.2"/>',
    "workers": '<path d="M2 2.8h12v4H2zM2 9.2h12v4H2zM4.6 4.8h.1M4.6 11.2h.1"/>',
    "events": '<circle cx="8" cy="8" r="1.4"/><path d="M5 11a4.2 4.2 0 0 1 0-6M11 5a4.2 4.2 0 0 1 0 6'
    'M2.9 13.1a7.2 7.2 0 0 1 0-10.2M13.1 2.9a7.2 7.2 0 0 1 0 10.2"/>',
    "webhooks": '<circle cx="8" cy="4.4" r="2.2"/><circle cx="3.9" cy="11.4" r="2.2"/>'
    '<circle cx="12.1" cy="11.4" r="2.2"/><path d="M6.9 6.3L5 9.5M6.1 11.4h3.8M9.1 6.3l1.9 3.2"/>',
    "schedules": '<path d="M2.2 3.4h11.6v10.2H2.2zM2.2 6.6h11.6M5.2 1.8v3M10.8 1.8v3"/>',
    "key": '<circle cx="5" cy="11" r="3"/><path d="M7.2 8.8L14 2M11 5l2 2"/>',
    "gear": '<circle cx="8" cy="8" r="2.2"/><path d="M8 1.8v2M8 12.2v2M1.8 8h2M12.2 8h2M3.6 3.6L5 5M11 11l1.4 1.4'
    'M3.6 12.4L5 11M11 5l1.4-1.4"/>',
    "theme": f'{_RING}<path d="M8 1.8v12.4A6.2 6.2 0 0 0 8 1.8z" fill="currentColor"/>',
    "out": '<path d="M6.5 3H3v10h10V9.5M9 2.5h4.5V7M13 3L7.5 8.5"/>',
    "plus": '<path d="M8 3v10M3 8h10"/>',
    "play": '<path d="M4.5 2.8l8 5.2-8 5.2z"/>',
    "pause": '<path d="M5.2 3v10M10.8 3v10"/>',
    "stop": '<path d="M3.8 3.8h8.4v8.4H3.8z"/>',
    "warning": '<path d="M8 2.2l6.3 11.3H1.7zM8 6.5v3.4M8 11.6v.2"/>',
    "down": '<path d="M4 6.2l4 4 4-4"/>',
    "trash": '<path d="M2.5 4.2h11M6 4V2.3h4V4M4 4.4l.7 9.3h6.6l.7-9.3"/>',
    "shield": '<path d="M8 1.8l5 1.8v4.2c0 3-2 5-5 6.4-3-1.4-5-3.4-5-6.4V3.6z"/>',
}


def icon(name: str, label: str = "") -> SafeString:
    """Draw an icon. Without a label it is decoration and hidden from readers of the text."""
    drawing = mark_safe(PATHS.get(name, PATHS["step"]))  # noqa: S308 (our own constants)
    if label:
        return format_html(
            '<svg class="icon icon-{}" viewBox="0 0 16 16" role="img" aria-label="{}">{}</svg>', name, label, drawing
        )
    return format_html('<svg class="icon icon-{}" viewBox="0 0 16 16" aria-hidden="true">{}</svg>', name, drawing)
