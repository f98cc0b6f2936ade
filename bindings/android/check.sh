#!/bin/sh
# That assemble.sh makes what Android expects, and refuses what devices would. A stand-in takes the place of the library
# that the NDK builds. Comes after `mvn -f bindings/kotlin package`; needs rustc, jar and readelf.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "check.sh: $1" >&2
    exit 1
}

case $(uname -m) in
    x86_64) abi=x86_64 other=arm64-v8a ;;
    aarch64) abi=arm64-v8a other=x86_64 ;;
    *) fail "runs on x86-64 and aarch64" ;;
esac

# A library with a function of this name, aligned to pages of this size, for this ABI, in this folder.
stand_in() {
    echo "#[unsafe(no_mangle)] pub extern \"C\" fn $1() {}" > "$work/stand_in.rs"
    mkdir -p "$work/$4/$3"
    rustc --crate-type cdylib -C link-arg="-Wl,-z,max-page-size=$2" -o "$work/$4/$3/libvolary.so" "$work/stand_in.rs"
}

refused() {
    if "$here/assemble.sh" "$work/$1" "$work/refused" > "$work/output" 2>&1; then fail "$1 was not refused"; fi
    grep -q "$2" "$work/output" || fail "$1: $(cat "$work/output")"
}

version_function=uniffi_volary_fn_func_version
stand_in $version_function 4096 $abi small-pages
refused small-pages "max-page-size=16384"
stand_in $version_function 16384 $other other-machine
refused other-machine "is not built for"
stand_in $version_function 16384 riscv64 unknown-abi
refused unknown-abi "is not an ABI"
stand_in something_else 16384 $abi other-library
refused other-library "is not Volary's library"
mkdir "$work/empty"
refused empty "holds no ABI/libvolary.so"
[ -z "$(ls "$work/refused")" ] || fail "something was written for what was refused"

stand_in $version_function 16384 $abi good
archive=$("$here/assemble.sh" "$work/good" "$work/out")
mkdir "$work/aar" "$work/classes"
(cd "$work/aar" && jar xf "$archive")
(cd "$work/classes" && jar xf "$work/aar/classes.jar")

for file in AndroidManifest.xml classes.jar R.txt proguard.txt jni/$abi/libvolary.so; do
    [ -f "$work/aar/$file" ] || fail "the archive lacks $file"
done
[ -d "$work/aar/res" ] || fail "the archive lacks res/"
grep -q 'package="dev.volary"' "$work/aar/AndroidManifest.xml" || fail "the manifest names no package"
grep -q 'keep class dev.volary.internal' "$work/aar/proguard.txt" || fail "the rules do not keep what JNA looks for"
[ -f "$work/classes/dev/volary/Model.class" ] || fail "classes.jar lacks dev.volary.Model"
[ -f "$work/classes/dev/volary/internal/Model.class" ] || fail "classes.jar lacks the generated classes"
[ -f "$work/classes/META-INF/volary.kotlin_module" ] || fail "classes.jar lacks META-INF/volary.kotlin_module"
[ -f "$work/classes/dev/volary/demo.gguf" ] || fail "classes.jar lacks the demo model"
strays=$(find "$work/classes" -type f ! -name '*.class' ! -name '*.kotlin_module' ! -name demo.gguf)
[ -z "$strays" ] || fail "classes.jar holds $strays"

# Versions agree, and what the JVM's package depends on: JNA by its .aar.
pom=$here/../kotlin/pom.xml
of() { sed -n "s|^ *<$1>\(.*\)</$1>|\1|p" "$pom" | head -1; }
made=$(ls "$work"/out/*.pom)
for version in "$(of version)" "$(of kotlin.version)" "$(of coroutines.version)" "$(of jna.version)"; do
    grep -q "<version>$version</version>" "$made" || fail "the POM does not name version $version"
done
grep -q '<type>aar</type>' "$made" || fail "the POM takes JNA's .jar"
echo "the Android archive is as it must be"
