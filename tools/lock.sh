#!/usr/bin/env bash
# Writes requirements/*.txt from requirements/*.in: every version with the hashes of all its files,
# for Python 3.11 and later 3.x on Linux. Needs uv: tools/lock.sh UV [uv options, e.g. --upgrade].
set -euo pipefail
cd "$(dirname "$0")/../requirements"
uv=$1
shift

compile() { # NAME [uv options]: NAME.in -> NAME.txt
    local name=$1
    shift
    echo "requirements/$name.txt"
    # No line about indexes, and no configuration of this machine: the files hold names and hashes.
    "$uv" pip compile "$name.in" --output-file "$name.txt" --no-config --quiet --universal \
        --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
        --fork-strategy fewest --allow-unsafe --no-header "$@"
    { echo "# Written by \`make lock\` from $name.in."; cat "$name.txt"; } > "$name.tmp"
    mv "$name.tmp" "$name.txt"
}

compile build "$@"
compile core "$@"
compile core-numpy126 "$@"
compile ros -c build.txt -c core.txt "$@"
compile sim -c core.txt "$@"
compile torch-pypi -c build.txt -c core.txt "$@"
compile torch-cpu -c build.txt -c core.txt -c torch-pypi.txt "$@"
compile train -c core.txt "$@"
# Beside either core, whose numpy stays as it is: both oracles of the tests fit it.
compile test -c core.txt -c ros.txt --no-emit-package numpy "$@"
compile dev -c build.txt -c core.txt -c ros.txt -c torch-pypi.txt -c test.txt "$@"

# The official CPU build has a local version, which no lock tool finds on PyPI. Exact, so that pip
# says at once when it is not to be had, and does not begin to download the build with CUDA.
cat >> torch-cpu.txt << 'EOF'
torch==2.13.0+cpu ; python_full_version < '3.12' and platform_machine == 'x86_64' \
    --hash=sha256:6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b
EOF
