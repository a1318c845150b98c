FROM golang:1.27.3 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY api api
COPY controllers controllers
COPY internal internal
COPY main.go ./
ARG VERSION=development
ENV CGO_ENABLED=0 GOFIPS140=v1.26.0 GOEXPERIMENT=runtimesecret GOTOOLCHAIN=local
RUN go build -trimpath -ldflags "-s -w -X strongroom.dev/strongroom/internal/cmd.Version=${VERSION}" -o /strongroom .

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /strongroom /strongroom
ENV GODEBUG=fips140=on GOTRACEBACK=none
USER 65532:65532
ENTRYPOINT ["/strongroom"]
CMD ["manager"]
