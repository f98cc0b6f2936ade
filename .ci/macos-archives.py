"""Assembles the Swift package for macOS, and checks the form of both archives: `macos-archives.py VERSION FOLDER`.

See package-macos, which calls it.
"""

import plistlib
import re
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

ARM64 = 0x0100000C
DYNAMIC_LIBRARY = 6


def main(version: str, out: Path) -> None:
    """Writes the Swift package, and looks at what each archive holds."""
    swift = out / f"volary-swift-{version}-macos-arm64.zip"
    assemble(swift, Path("target/trixie/aarch64-apple-darwin/dist/libvolary.a"), out / "generated")
    (wheel,) = out.glob("volary-*.whl")
    header = (out / "generated" / "CVolary.h").read_text()
    functions = [name.encode() for name in set(re.findall(r"\buniffi_volary_fn_\w+", header))]
    expect(len(functions) > 50, "the header declares hardly any functions")
    check_wheel(wheel, functions)
    check_swift(swift, functions)


def assemble(archive: Path, library: Path, generated: Path) -> None:
    """The package's sources, what is generated, and the static library as the XCFramework that Package.swift takes."""
    tracked = subprocess.run(["git", "ls-files", "bindings/swift"], check=True, capture_output=True, text=True).stdout
    platform = {
        "LibraryIdentifier": "macos-arm64",
        "LibraryPath": library.name,
        "BinaryPath": library.name,
        "HeadersPath": "Headers",
        "SupportedArchitectures": ["arm64"],
        "SupportedPlatform": "macos",
    }
    framework = {
        "AvailableLibraries": [platform],
        "CFBundlePackageType": "XFWK",
        "XCFrameworkFormatVersion": "1.0",
    }
    module = 'module CVolary {\n    header "CVolary.h"\n    export *\n}\n'
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as package:
        for name in tracked.splitlines():
            package.write(name, name.removeprefix("bindings/"))
        package.write(generated / "VolaryGenerated.swift", "swift/Sources/VolaryGenerated/VolaryGenerated.swift")
        package.write(Path("models/demo.gguf"), "swift/Sources/Volary/demo.gguf")
        package.writestr("swift/CVolary.xcframework/Info.plist", plistlib.dumps(framework))
        package.write(library, f"swift/CVolary.xcframework/macos-arm64/{library.name}")
        package.write(generated / "CVolary.h", "swift/CVolary.xcframework/macos-arm64/Headers/CVolary.h")
        package.writestr("swift/CVolary.xcframework/macos-arm64/Headers/module.modulemap", module)


def check_wheel(path: Path, functions: list[bytes]) -> None:
    """The wheel has a dynamic library for arm64, with every function of the interface."""
    with zipfile.ZipFile(path) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith(".dylib")]
        library = wheel.read(name)
    magic, processor, _, kind = struct.unpack_from("<IIII", library)
    expect(magic == 0xFEEDFACF and processor == ARM64, f"{name} is no 64-bit Mach-O file for arm64")
    expect(kind == DYNAMIC_LIBRARY, f"{name} is no dynamic library")
    for function in functions:
        expect(b"\0_" + function + b"\0" in library, f"{name} lacks the function {function.decode()}")


def check_swift(path: Path, functions: list[bytes]) -> None:
    """Every path that the framework's description names is there, and the library is an archive of Mach-O files, with
    every function of the interface and nothing of what generates code.
    """
    with zipfile.ZipFile(path) as package:
        framework = plistlib.loads(package.read("swift/CVolary.xcframework/Info.plist"))
        for library in framework["AvailableLibraries"]:
            folder = f"swift/CVolary.xcframework/{library['LibraryIdentifier']}"
            content = package.read(f"{folder}/{library['LibraryPath']}")
            expect(content.startswith(b"!<arch>\n"), "the static library is no archive")
            expect(struct.pack("<II", 0xFEEDFACF, ARM64) in content, "the static library has no code for arm64")
            for function in functions:
                expect(b"\0_" + function + b"\0" in content, f"the static library lacks {function.decode()}")
            expect(b"uniffi_bindgen" not in content, "the static library holds parts of bindgen")
            package.getinfo(f"{folder}/{library['HeadersPath']}/CVolary.h")


def expect(condition: bool, complaint: str) -> None:
    """Ends with the complaint unless the condition holds."""
    if not condition:
        sys.exit(f"package-macos: {complaint}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
