#!/bin/sh
# Brings Temporal's two databases to the schema of this server's version; safe to run again.
set -eu
for database in temporal temporal_visibility; do
  case "$database" in
    temporal) versions=/etc/temporal/schema/postgresql/v12/temporal/versioned ;;
    *) versions=/etc/temporal/schema/postgresql/v12/visibility/versioned ;;
  esac
  temporal-sql-tool --database "$database" setup-schema --version 0.0 || true # it exists already
  temporal-sql-tool --database "$database" update-schema --schema-dir "$versions"
done
