# syntax=docker/dockerfile:1
# The three stages of situ as images: docker build --target gateway|ingester|query .
# Gateway is static and stands on nothing; the other two need glibc, because H3 is C.

FROM node:20.20.2-bookworm-slim AS page
WORKDIR /src/web
COPY web/package.json web/package-lock.json web/.npmrc ./
RUN npm ci --no-audit --no-fund --loglevel=error
COPY web/ ./
RUN npm run --silent build

FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
COPY --from=page /src/web/dist ./web/dist
ARG VERSION=unknown
RUN flags="-s -w -X github.com/situ-city/situ/internal/version.commit=$VERSION" \
 && mkdir -p /out /empty \
 && CGO_ENABLED=0 go build -trimpath -ldflags "$flags" -o /out/ ./cmd/gateway \
 && CGO_ENABLED=1 go build -trimpath -ldflags "$flags" -o /out/ ./cmd/ingester ./cmd/query

# What both C-linked stages stand on. Nobody in it has a shell to log in with or a home to write to.
FROM debian:12.8-slim AS base
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build --chown=65532:65532 /empty /var/lib/situ
WORKDIR /var/lib/situ
USER 65532:65532

FROM scratch AS gateway
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build --chown=65532:65532 /empty /var/lib/situ
COPY --from=build /out/gateway /usr/local/bin/gateway
WORKDIR /var/lib/situ
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/gateway"]

FROM base AS ingester
COPY --from=build /out/ingester /usr/local/bin/ingester
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/ingester"]

FROM base AS query
COPY --from=build /out/query /usr/local/bin/query
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/query"]
