#!/bin/sh
# Makes the namespace and the search attributes once the server answers; safe to run again.
set -eu
temporal operator cluster health
temporal operator namespace describe --namespace headrace >/dev/null 2>&1 ||
  temporal operator namespace create --namespace headrace --retention 30d
for name in HeadraceGroup HeadraceOperation HeadracePhase; do
  temporal operator search-attribute create --namespace headrace --name "$name" --type Keyword || true # it exists already
done
