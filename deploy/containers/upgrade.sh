#!/bin/sh
# Replaces a region's containers by those of AIDMESH_VERSION, one after the other, so that each
# service is away for seconds; `docker compose up -d` would stop all of them first. From the folder
# of compose.yaml, after `docker compose build`. Options of compose come after it, such as
# --env-file .env --env-file deploy/containers/second.env for the second region.
set -eu
for service in supervisor intake inventory payments notification reporting console; do
    docker compose "$@" up -d --wait --wait-timeout 300 "$service"
done
