"""Strips the library in a wheel, in place.

    python bindings/python/strip_wheel.py target/wheels/volary-*.whl

The compiler cannot do it: the bindings are generated from the symbols of the library that the wheel then holds.
"""

import base64
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

#: What to strip, and how: the symbols that others link to stay.
COMMANDS = {".so": ["strip", "--strip-unneeded"], ".dylib": ["strip", "-x"]}


def stripped(name: str, data: bytes) -> bytes:
    """The file without its symbols; on macOS signed anew, as it must be."""
    suffix = Path(name).suffix
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, Path(name).name)
        file.write_bytes(data)
        subprocess.run([*COMMANDS[suffix], file], check=True)
        if suffix == ".dylib":
            subprocess.run(["codesign", "--force", "--sign", "-", file], check=True)
        return file.read_bytes()


def record_line(name: str, data: bytes) -> str:
    """What the wheel's RECORD says of a file."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}"


def strip_wheel(wheel: Path) -> None:
    """Replaces the wheel by one that is the same but for the library's symbols."""
    new = wheel.with_suffix(".part")
    changed = {}
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED) as target:
        # RECORD, which lists the others, comes last.
        for entry in sorted(source.infolist(), key=lambda entry: entry.filename.endswith(".dist-info/RECORD")):
            data = source.read(entry)
            if Path(entry.filename).suffix in COMMANDS:
                before, data = len(data), stripped(entry.filename, data)
                changed[entry.filename] = record_line(entry.filename, data)
                print(f"{wheel.name}: {entry.filename}: {before / 1e6:.1f} MB, now {len(data) / 1e6:.1f}")
            elif entry.filename.endswith(".dist-info/RECORD"):
                lines = data.decode().splitlines()
                data = "".join(f"{changed.get(line.split(',')[0], line)}\n" for line in lines).encode()
            target.writestr(entry, data, zipfile.ZIP_DEFLATED)
    if not changed:
        sys.exit(f"{wheel}: holds no library to strip")
    new.replace(wheel)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        strip_wheel(Path(argument))
