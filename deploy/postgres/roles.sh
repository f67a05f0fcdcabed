#!/usr/bin/env bash
# Once, when the cluster is made: one database, and per service one role that owns one schema of it; Temporal's two databases.
set -euo pipefail

as_superuser() { psql --no-psqlrc --set ON_ERROR_STOP=1 --quiet --username postgres "$@"; }

as_superuser --command 'CREATE DATABASE headrace'
as_superuser --command 'REVOKE ALL ON DATABASE headrace FROM PUBLIC'
for service in observer deployer provisioner autoscaler admin; do
  variable="${service^^}_PASSWORD"
  as_superuser --dbname headrace --set role="$service" --set password="${!variable}" <<'SQL'
CREATE ROLE :"role" LOGIN PASSWORD :'password';
GRANT CONNECT ON DATABASE headrace TO :"role";
CREATE SCHEMA :"role" AUTHORIZATION :"role";
ALTER ROLE :"role" SET search_path = :"role";
SQL
done
as_superuser --set password="$TEMPORAL_PASSWORD" <<'SQL'
CREATE ROLE temporal LOGIN PASSWORD :'password';
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
SQL
