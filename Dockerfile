# The same image as `make image` makes without a container engine.

# Alpine's host target is musl: the binary is static on every architecture.
FROM rust:1.95-alpine AS build
RUN apk add --no-cache build-base ca-certificates
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
RUN cargo build --locked --profile dist --bin stairlock

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/target/dist/stairlock /stairlock
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/stairlock"]
