"""The names of keys, whatever toolkit OpenCV's windows are made with; `viewer` reads them."""

from __future__ import annotations

LEFT, UP, RIGHT, DOWN = "left", "up", "right", "down"
PAGE_UP, PAGE_DOWN, HOME, END = "page up", "page down", "home", "end"
DELETE, ESCAPE, SPACE = "delete", "escape", "space"
NAMES = (LEFT, UP, RIGHT, DOWN, PAGE_UP, PAGE_DOWN, HOME, END, DELETE)

# The codes that waitKeyEx returns, in the order of NAMES: X11's keysyms (Linux; GTK's and Qt's windows), those of the
# number pad, Windows' virtual keys, and AppKit's function keys (macOS).
X11 = (0xFF51, 0xFF52, 0xFF53, 0xFF54, 0xFF55, 0xFF56, 0xFF50, 0xFF57, 0xFFFF)
X11_PAD = (0xFF96, 0xFF97, 0xFF98, 0xFF99, 0xFF9A, 0xFF9B, 0xFF95, 0xFF9C, 0xFF9F)
WINDOWS = (0x250000, 0x260000, 0x270000, 0x280000, 0x210000, 0x220000, 0x240000, 0x230000, 0x2E0000)
MACOS = (0xF702, 0xF700, 0xF703, 0xF701, 0xF72C, 0xF72D, 0xF729, 0xF72B, 0xF728)
# Characters; 127 is the backspace key of a Mac, on which `delete` is printed, 8 and 0xFF08 are that of others.
CHARACTERS = {27: ESCAPE, 32: SPACE, 127: DELETE, 8: DELETE, 0xFF08: DELETE}
BY_CODE = CHARACTERS | {
    code: name for codes in (X11, X11_PAD, WINDOWS, MACOS) for code, name in zip(codes, NAMES, strict=True)
}


def key_name(code: int) -> str:
    """Return the name of a key by the code that waitKeyEx returned: one of this module or a lower-case character.

    Other keys have a name that is no other key's; GTK's codes have modifiers in the higher bits.
    """
    low = code & 0xFFFF
    code = low or code
    if code in BY_CODE:
        return BY_CODE[code]
    return chr(code).lower() if 32 < code < 127 else f"key {code}"
