#!/bin/sh
# A role per service, each with a schema of its own in the database `guanjia` and no right to the others'.
# Run once, by the server's image, when the data folder is first made.
set -eu
secrets="${GUANJIA_POSTGRES_SECRETS:-/run/secrets/guanjia}"
psql() { command psql -v ON_ERROR_STOP=1 --no-psqlrc --quiet --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" "$@"; }

psql -c 'REVOKE ALL ON DATABASE guanjia FROM PUBLIC' -c 'REVOKE ALL ON SCHEMA public FROM PUBLIC'
for service in intake dispatch survey kpi; do
	psql -v role="$service" -v password="$(cat "$secrets/$service")" <<-'SQL'
		CREATE ROLE :"role" LOGIN PASSWORD :'password' NOSUPERUSER NOCREATEDB NOCREATEROLE;
		GRANT CONNECT ON DATABASE guanjia TO :"role";
		CREATE SCHEMA :"role" AUTHORIZATION :"role";
		GRANT CREATE ON DATABASE guanjia TO :"role";
	SQL
done
