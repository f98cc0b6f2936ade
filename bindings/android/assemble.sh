#!/bin/sh
# Makes the Android archive and its POM from native libraries that were built with the NDK (docs/android.md says how):
#
#     bindings/android/assemble.sh LIBRARIES OUT
#
# LIBRARIES holds ABI/libvolary.so, such as arm64-v8a/libvolary.so; OUT is where volary-android-VERSION.aar appears. The
# classes are those of `mvn -f bindings/kotlin package`. Needs `jar`, of the JDK, and `readelf` (or READELF=llvm-readelf).
set -eu

fail() {
    echo "assemble.sh: $1" >&2
    exit 1
}

[ $# -eq 2 ] || fail "usage: assemble.sh LIBRARIES OUT"
libraries=$1
mkdir -p "$2"
out=$(cd "$2" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
readelf=${READELF:-readelf}

version=$(sed -n 's|^  <version>\(.*\)</version>|\1|p' "$here/volary-android.pom")
classes=${VOLARY_JAR:-$here/../../target/kotlin/volary-$version.jar}
[ -f "$classes" ] || fail "$classes is not there; run mvn -f bindings/kotlin package first"
classes=$(cd "$(dirname "$classes")" && pwd)/$(basename "$classes")

# The instruction set that readelf tells for an ABI.
machine() {
    case $1 in
        arm64-v8a) echo AArch64 ;;
        x86_64) echo X86-64 ;;
        *) fail "$libraries/$1: is not an ABI that Volary runs on; those are arm64-v8a and x86_64" ;;
    esac
}

check() {
    "$readelf" -h "$1" | grep -q "Machine:.*$2" || fail "$1: is not built for $2"
    # Devices with pages of 16 KB refuse to load what is aligned to less.
    for alignment in $("$readelf" -lW "$1" | sed -n 's/^ *LOAD .* 0x\([0-9a-f]*\)$/\1/p'); do
        [ "$((0x$alignment))" -ge 16384 ] || fail "$1: is aligned to 0x$alignment; link with -Wl,-z,max-page-size=16384"
    done
    "$readelf" --dyn-syms -W "$1" | grep -q uniffi_volary_fn_func_version ||
        fail "$1: is not Volary's library; build it with --no-default-features --features ffi"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/aar/jni" "$work/aar/res" "$work/classes"

found=no
for library in "$libraries"/*/libvolary.so; do
    [ -f "$library" ] || continue
    abi=$(basename "$(dirname "$library")")
    wanted=$(machine "$abi")
    check "$library" "$wanted"
    mkdir -p "$work/aar/jni/$abi"
    cp "$library" "$work/aar/jni/$abi/"
    found=yes
done
[ "$found" = yes ] || fail "$libraries: holds no ABI/libvolary.so"

# Without the native libraries of desktops; the rules for shrinkers have a place of their own in the archive.
(cd "$work/classes" && jar xf "$classes" && cp META-INF/proguard/volary.pro "$work/aar/proguard.txt" &&
    find . -mindepth 1 -maxdepth 1 ! -name dev ! -name META-INF -exec rm -r {} + &&
    find META-INF -mindepth 1 -maxdepth 1 ! -name '*.kotlin_module' -exec rm -r {} + &&
    jar cfM "$work/aar/classes.jar" .)
cp "$here/AndroidManifest.xml" "$work/aar/"
: > "$work/aar/R.txt"
(cd "$work/aar" && jar cfM "$out/volary-android-$version.aar" AndroidManifest.xml classes.jar R.txt res jni proguard.txt)
cp "$here/volary-android.pom" "$out/volary-android-$version.pom"
echo "$out/volary-android-$version.aar"
