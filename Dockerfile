# A node as an image: build with `docker build -t p2pnode .`, run with `docker run --init` or as it is; docs/operations/running.md.
FROM node:24-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json ./
COPY scripts/stubs scripts/stubs
RUN npm ci --no-audit --no-fund --ignore-scripts
COPY . .
RUN npm run build \
  && mkdir /packed \
  && npm pack --ignore-scripts --pack-destination /packed

FROM node:24-bookworm-slim
# Whatever Debian has fixed by then: a pinned version is gone with the next fix.
# hadolint ignore=DL3008
RUN apt-get update \
  && apt-get install --yes --no-install-recommends tini \
  && rm -rf /var/lib/apt/lists/*
COPY --from=build /packed/ /packed/
RUN npm install --global --no-audit --no-fund --omit=dev /packed/*.tgz \
  && rm -rf /packed /root/.npm \
  && mkdir -p /data \
  && chown 1000:1000 /data \
  && chmod 0700 /data
# The user `node` of the base image.
USER 1000:1000
WORKDIR /data
ENV P2PNODE_HOME=/data
VOLUME ["/data"]
# Swarm over TCP, WebSocket, QUIC and WebRTC. The API stays on the container's own loopback unless api.host says otherwise.
EXPOSE 4700/tcp 4701/tcp 4703/tcp 4700/udp 4702/udp
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["p2pnode", "status", "--ready", "--quiet"]
ENTRYPOINT ["tini", "--", "p2pnode"]
CMD ["start", "--json"]
