# Feedfleet as one static binary, and as an image with nothing else in it.
#
#   docker build --tag feedfleet .
#   docker run --rm --init --user "$(id -u):$(id -g)" --network host --stop-timeout 150 \
#       --volume "$PWD/my-fleet:/fleet" feedfleet --config /fleet up
#   docker build --target binary --output out .        out/feedfleet, for scripts/deploy or a machine without Docker
#
# It runs as the user who owns the folder, for `up` writes there; with the machine's network, for the status page is on
# 127.0.0.1; with --init, which ends what killed workers leave behind; and it stops when workers and receipts are done.
#
# It is built for the machine that builds it: a binary for Arm is built on one with Arm. The C that it contains
# (SQLite, Zstandard, WebP, mimalloc) is compiled against musl, so the binary asks nothing of the machine it runs on.

FROM rust:1.95.0-bookworm AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends musl-tools \
    && rm -rf /var/lib/apt/lists/*
# The version of rust-toolchain.toml is the image's own; its linters are not needed here.
ENV RUSTUP_TOOLCHAIN=1.95.0
RUN rustup target add "$(uname -m)-unknown-linux-musl"
WORKDIR /feedfleet
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/feedfleet/target \
    target="$(uname -m)-unknown-linux-musl" \
    && cargo build --release --locked --features aws --bin feedfleet --target "$target" \
    && install -D -m 0755 "target/$target/release/feedfleet" /out/feedfleet \
    && /out/feedfleet --version \
    && ! readelf --program-headers /out/feedfleet | grep -q INTERP

FROM scratch AS binary
COPY --from=build /out/feedfleet /feedfleet

# Certificates, time zones and a user without rights; no shell.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/feedfleet /usr/local/bin/feedfleet
# A worker hands its work back within 100 s: docker stop --time 110. `up` has --stop-timeout 150 above.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/feedfleet"]
