# fanout as a container image of some 30 MB: `docker build --tag fanout .`
#
# It needs io_uring, which Docker's, Podman's and Kubernetes' default profiles refuse: run it with deploy/seccomp.json,
# which says why. deploy/compose.yaml and deploy/kubernetes do.
#
#   docker run --publish 8084:8084 --security-opt seccomp=deploy/seccomp.json --ulimit nofile=65536 \
#     --ulimit memlock=8388608 --env REDIS_URL=redis://redis.example.org fanout

FROM rust:1.95-bookworm AS build
WORKDIR /fanout
COPY . .
# What was downloaded and built stays with the builder, so a change of the sources builds the sources alone. Without what
# debuggers want the program is a quarter of its size; its backtraces still have the names of functions.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/fanout/target \
    cargo build --release --locked --package fanout --bin fanout \
    && install -D target/release/fanout /built/fanout \
    && strip --strip-debug /built/fanout

# The C library and nothing else: no shell, no package manager; the user is 65532.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /built/fanout /usr/local/bin/fanout
# Inside a container the port is for whoever is let in from outside; without --auth token anybody is.
ENV LISTEN=0.0.0.0:8084
EXPOSE 8084
USER 65532:65532
# Whether it serves. Whether clients should be sent here is another question: GET /ready.
HEALTHCHECK --interval=5s --timeout=3s --start-period=5s --retries=3 CMD ["/usr/local/bin/fanout", "health"]
ENTRYPOINT ["/usr/local/bin/fanout"]
