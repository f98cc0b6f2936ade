#!/usr/bin/env bash
# Builds the wheel and the source distribution, installs each into an empty virtual environment, and runs the example and
# the command there, outside of the source tree. Needs maturin on the path, Rust, and a Python with venv.
#
#   bindings/python/check_package.sh [wheel|sdist]     both by default
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
what=${1:-both}
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { printf 'check_package: %s\n' "$1" >&2; exit 1; }

# What cargo has built of the dependencies serves the source distribution, too.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target}

# check NAME FILE: installs FILE and uses it as its users would.
check() {
    local name=$1 file=$2 venv=$work/$1 text again
    printf '\n--- %s: %s\n' "$name" "$(basename "$file")"
    "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$file"
    mkdir "$work/$name-outside"
    cp "$root/examples/python/completion.py" "$root/tests/golden/v7.pth" "$work/$name-outside"
    cd "$work/$name-outside"
    text=$("$venv/bin/python" completion.py v7.pth "Once" --max-tokens 20 --seed 1 2>stats | tr -d '\0') || { cat stats >&2; exit 1; }
    case $text in Once?*) ;; *) fail "$name: the example printed: $text" ;; esac
    again=$("$venv/bin/volary" complete v7.pth "Once" --max-tokens 20 --seed 1 2>stats | tr -d '\0') || { cat stats >&2; exit 1; }
    case $again in *"${text#Once}"*) ;; *) fail "$name: the command printed: $again" ;; esac
    text=$("$venv/bin/python" completion.py --max-tokens 20 2>stats) || { cat stats >&2; exit 1; }
    case $text in "Once upon a time"?*) ;; *) fail "$name: the example printed without a model: $text" ;; esac
    "$venv/bin/volary" complete "Once upon a time" --max-tokens 20 2>stats | grep . >/dev/null || fail "$name: no demo: $(cat stats)"
    "$venv/bin/python" -m volary --version
    "$venv/bin/python" - "$venv" <<'PYTHON'
import pathlib, sys, volary
package = pathlib.Path(volary.__file__).parent
assert str(package).startswith(sys.argv[1]), package
assert (package / "py.typed").exists()
assert not list(package.parent.glob("tests")), "the tests were installed"
assert volary.Model("v7.pth").eval(1)[0].shape == (256,)
libraries = list((package / "_native").glob("*volary.*[!y]"))
sizes = [library.stat().st_size for library in libraries]
print(*(f"{library.name}: {size / 1e6:.2f} MB" for library, size in zip(libraries, sizes)))
assert len(sizes) == 1 and (sizes[0] < 8e6 or "sdist" in sys.argv[1]), "the packaged library has 8 MB or more"
PYTHON
    cd "$root"
}

cd "$root"
case $what in
    wheel | both)
        maturin build --profile dist --out "$work/dist"
        wheel=$(echo "$work"/dist/volary-*.whl)
        "$python" "$root/bindings/python/strip_wheel.py" "$wheel"
        case $wheel in *-py3-none-*) ;; *) fail "$(basename "$wheel") is not for every Python 3" ;; esac
        check wheel "$wheel"
        ;;&
    sdist | both)
        maturin sdist --out "$work/dist"
        sdist=$(echo "$work"/dist/volary-*.tar.gz)
        for file in src/volary.udl build.rs uniffi.toml Cargo.lock bindings/bindgen/src/main.rs models/demo.gguf; do
            tar tzf "$sdist" | grep "/$file\$" >/dev/null || fail "$file is not in the source distribution"
        done
        check sdist "$sdist"
        ;;&
    wheel | sdist | both) printf '\ncheck_package: all good\n' ;;
    *) fail "what is $what?" ;;
esac
