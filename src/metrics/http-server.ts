/** A small HTTP server for monitoring. Answers GET and HEAD from a table of paths, and limits what any client can use up. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { hostname } from 'node:os'
import { describeListening } from '../net/unix-sockets.ts'
import { isLoopback, isOurs } from './hosts.ts'
import { HttpConnections } from './http-connections.ts'

export interface HttpAddress {
  readonly host: string
  readonly port: number
}

/** A complete answer. */
export interface Page {
  /** 200 if not given. */
  readonly status?: number
  readonly contentType: string
  readonly body: string | Buffer
  readonly headers?: Readonly<Record<string, string>>
}

/** An answer that continues until the client disconnects or `end` is called. */
export interface Stream {
  readonly contentType: string
  /**
   * Starts the stream. Returns a function that is called when the connection has closed, also after `end`. `send` returns whether the client
   * keeps up; if not, the text may have been dropped.
   */
  open(send: (text: string) => boolean, end: () => void): () => void
}

export type Answer = (request: IncomingMessage) => Page | Stream | Promise<Page | Stream>

/** The answers by path. */
export type Pages = ReadonlyMap<string, Answer>

export interface HttpServer {
  readonly addresses: readonly HttpAddress[]
  close(): void
}

/** Enough for the few headers that monitoring clients send. */
const MAX_HEADER_BYTES = 8_192

/** How long a request may take to arrive. */
const REQUEST_MS = 5_000

/** How often to look for requests that take longer. With Node's default of 30 s, a few clients could block all connections for that long. */
const LOOK_MS = 1_000

/** How long a connection may be idle between two requests. Enough for what the live page requests; scrapers connect again each time. */
const KEEP_ALIVE_MS = 5_000

/**
 * Limits per address. There are few watchers, and health probes must always be answered: a connection beyond the limit replaces another one
 * (see `http-connections.ts`).
 */
const LIMITS = { connections: 100, streams: 50 }

const METHODS = ['GET', 'HEAD']

export interface HttpServerOptions {
  /** The setting that asks for this server, for error messages. */
  readonly setting: string
  readonly listen: readonly HttpAddress[]
  readonly pages: Pages
  onTrouble(problem: unknown): void
}

/** Rejects if an address cannot be listened on; then none of them is. */
export async function openHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const servers: Server[] = []
  const close = () => {
    for (const server of servers) {
      server.close()
      server.closeAllConnections()
    }
  }
  try {
    for (const address of options.listen) servers.push(await open(address, options))
  } catch (problem) {
    close()
    throw problem
  }
  return { addresses: servers.map(addressOf), close }
}

function open({ host, port }: HttpAddress, { setting, listen, pages, onTrouble }: HttpServerOptions): Promise<Server> {
  const isLocal = listen.every((address) => isLoopback(address.host))
  const connections = new HttpConnections(LIMITS)
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: REQUEST_MS,
      requestTimeout: REQUEST_MS,
      connectionsCheckingInterval: LOOK_MS,
    },
    (request, response) => {
      const { socket } = request
      connections.onRequest(socket)
      response.once('close', () => connections.onAnswered(socket))
      if (isLocal && !isOurs(request.headers.host, hostname())) {
        send(request, response, NOT_OURS)
        return
      }
      answer(request, response, pages, connections).catch((problem) => {
        onTrouble(problem)
        if (response.headersSent) response.destroy()
        else send(request, response, plain(500, 'internal error\n'))
      })
    },
  )
  server.keepAliveTimeout = KEEP_ALIVE_MS
  server.on('connection', (socket) => connections.add(socket))
  return new Promise((resolve, reject) => {
    server.once('error', (cause: Error) => {
      const address = describeListening({ host, port })
      reject(new Error(`${setting}: cannot listen on ${address}: ${cause.message}`, { cause }))
    })
    server.listen({ port, ...(host === '*' ? {} : { host }) }, () => {
      server.removeAllListeners('error')
      server.on('error', onTrouble)
      resolve(server)
    })
  })
}

function addressOf(server: Server): HttpAddress {
  const { address, port } = server.address() as { readonly address: string; readonly port: number }
  return { host: address, port }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  pages: Pages,
  connections: HttpConnections,
): Promise<void> {
  const page = pages.get(pathOf(request))
  if (page === undefined) send(request, response, plain(404, 'not found\n'))
  else if (!METHODS.includes(request.method ?? '')) {
    response.setHeader('Allow', METHODS.join(', '))
    send(request, response, plain(405, 'method not allowed\n'))
  } else {
    const answered = await page(request)
    if (!('open' in answered)) send(request, response, answered)
    else if (connections.takeStream(request.socket)) stream(request, response, answered)
    else send(request, response, TOO_MANY)
  }
}

const NOT_OURS = plain(421, 'misdirected: use an IP address, localhost or the name of this machine\n')

const TOO_MANY: Page = { ...plain(503, 'too many streams\n'), headers: { 'Retry-After': '10' } }

function stream(request: IncomingMessage, response: ServerResponse, { contentType, open }: Stream): void {
  response.writeHead(200, { ...ALWAYS, 'Content-Type': contentType })
  if (request.method === 'HEAD') {
    response.end()
    return
  }
  response.flushHeaders()
  const close = open(
    (text) => {
      // Drop the text if the client does not keep up. It gets a later one when the buffer has drained.
      if (response.writableNeedDrain) return false
      return response.write(text)
    },
    () => response.end(),
  )
  response.once('close', close)
}

/** The headers of every answer. */
const ALWAYS = { 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' }

function pathOf({ url = '' }: IncomingMessage): string {
  const end = url.search(/[?#]/)
  return end < 0 ? url : url.slice(0, end)
}

export function plain(status: number, body: string): Page {
  return { status, contentType: 'text/plain; charset=utf-8', body }
}

function send(request: IncomingMessage, response: ServerResponse, page: Page): void {
  const { status = 200, contentType, body, headers = {} } = page
  response.statusCode = status
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  for (const [name, value] of Object.entries(ALWAYS)) response.setHeader(name, value)
  response.setHeader('Content-Type', contentType)
  response.setHeader('Content-Length', Buffer.byteLength(body))
  // Close the connection instead of reading the request's body.
  if (status === 405 || request.headers['content-length'] !== undefined || request.headers['transfer-encoding'])
    response.setHeader('Connection', 'close')
  response.end(request.method === 'HEAD' ? undefined : body)
}
