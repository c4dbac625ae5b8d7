"""The C++ library of a module that shares C++ objects with torch: the one copy in the process, never a second one.

Torch's wheels for Linux use libstdc++.so.6. Some compilers link a copy of their own instead, statically; then each
copy's streams work on the other's objects, and a process that loads both crashes.
"""

from __future__ import annotations

import platform
import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from build_support.parts import BuildError

__all__ = ["LIBRARY", "Linked", "expect_shared", "link_options", "read_elf", "read_module", "sharing_is_known"]

LIBRARY = "libstdc++.so.6"
_OF_THE_LIBRARY = ("_ZNSt6locale", "_ZNSt8ios_base")
"""Members of std::locale and std::ios_base, no templates: only the library itself defines them."""

# ELF of 64 bits, little-endian, as on x86-64 and aarch64.
_HEADER = struct.Struct("<16xHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBH16x")
_ENTRY = struct.Struct("<qQ")  # of the dynamic section
_DYNAMIC, _DYNAMIC_SYMBOLS = 6, 11  # kinds of section
_NEEDED = 1  # tag of an entry


@dataclass(frozen=True)
class Linked:
    """What a linked module says of itself: libraries it asks for; symbols it takes from them, and those it offers."""

    needed: tuple[str, ...]
    taken: tuple[str, ...]
    offered: tuple[str, ...]


def sharing_is_known() -> bool:
    """Whether modules of this system share libstdc++ by that name: Linux with glibc, on any processor."""
    return sys.platform == "linux" and platform.libc_ver()[0] == "glibc"


def link_options(compiler: Sequence[str]) -> list[str]:
    """What to link before all else, so that nothing is left for a static copy to define.

    compiler: the C++ compiler's command; it knows where its library is. Nothing where it has no shared one.
    """
    if not sharing_is_known():
        return []
    found = subprocess.run([*compiler, f"-print-file-name={LIBRARY}"], capture_output=True, text=True, check=True)
    path = Path(found.stdout.strip())
    return [str(path)] if path.is_absolute() else []  # the bare name: not found


def expect_shared(module: Path) -> None:
    """BuildError if a linked module has a C++ library of its own, or another one."""
    if not sharing_is_known():
        return
    linked = read_module(module)
    own = [name for name in linked.offered if name.startswith(_OF_THE_LIBRARY)]
    if own or LIBRARY not in linked.needed:
        found = f"a copy in the module ({own[0]})" if own else f"it to need {', '.join(linked.needed)}"
        raise BuildError(
            f"{module.name}: expected the C++ library of {LIBRARY}, as torch uses it, found {found}; "
            "build with a g++ or clang++ that links libstdc++ shared (CC=… CXX=…)"
        )


def read_module(module: Path) -> Linked:
    """The dynamic symbols and needed libraries of an ELF file; BuildError if it is none."""
    return read_elf(module.read_bytes(), str(module))


def read_elf(data: bytes, called: str) -> Linked:
    """Of a file's content; `called`: what an error calls it."""
    if data[:6] != b"\x7fELF\2\1":
        raise BuildError(f"{called}: expected an ELF file of 64 bits, found something else")
    header = _HEADER.unpack_from(data)
    start, size, count = header[5], header[10], header[11]
    sections = [_SECTION.unpack_from(data, start + size * place) for place in range(count)]
    needed, taken, offered = [], [], []

    def name(strings: int, place: int) -> str:
        at = sections[strings][4] + place
        return data[at : data.index(0, at)].decode(errors="replace")

    for _, kind, _, _, offset, length, strings, _, _, entry in sections:
        places = range(offset, offset + length, entry) if entry else ()
        if kind == _DYNAMIC_SYMBOLS:
            for place in places:
                symbol, *_, section = _SYMBOL.unpack_from(data, place)
                (offered if section else taken).append(name(strings, symbol))
        elif kind == _DYNAMIC:
            for place in places:
                tag, value = _ENTRY.unpack_from(data, place)
                if tag == _NEEDED:
                    needed.append(name(strings, value))
    return Linked(tuple(needed), tuple(taken), tuple(offered))
