/** Hostile and broken LDAP servers: none ends the process, and nothing meant for TLS is sent unencrypted. */

import { createServer, type Server, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { dialLdap } from '../../../src/net/ldap-connection.ts'

/** A server that does the same with each request. Returns the requests received and the number of connections. */
async function startServer(onRequest: (socket: Socket, request: Buffer) => void) {
  const requests: Buffer[] = []
  let connections = 0
  const server: Server = createServer((socket) => {
    connections++
    socket.on('error', () => {})
    socket.on('data', (request) => {
      requests.push(request)
      onRequest(socket, request)
    })
  })
  onTestFinished(() => void server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { url: `ldap://127.0.0.1:${port}`, requests, connections: () => connections }
}

const PLAIN = { startsTls: false, authorities: '' }
const STARTS_TLS = { startsTls: true, authorities: '' }

/** A successful answer to the request. */
function success(request: Buffer, operation: number): Buffer {
  return Buffer.from([0x30, 0x0c, 0x02, 0x01, request[4] as number, operation, 0x07, 0x0a, 1, 0, 4, 0, 4, 0])
}

const BIND_RESPONSE = 0x61
const EXTENDED_RESPONSE = 0x78

test('a name is sent in a simple bind with its password, even if it is the name of a SASL mechanism', async () => {
  const server = await startServer((socket, request) => socket.write(success(request, BIND_RESPONSE)))
  const connection = await dialLdap(server.url, PLAIN)
  // The name of a SASL mechanism.
  expect(await connection.bind('EXTERNAL', 'secret')).toBe(true)
  connection.close()
  const [request] = server.requests
  expect(request?.includes('EXTERNAL')).toBe(true)
  // A simple bind: context tag 0, and the password.
  expect(request?.includes(Buffer.from('\x80\x06secret', 'latin1'))).toBe(true)
})

test.each<[string, (socket: Socket, request: Buffer) => void]>([
  ['hangs up', (socket) => socket.end()],
  ['resets the connection', (socket) => socket.resetAndDestroy()],
  ['answers in HTTP and hangs up', (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ['sends nonsense and hangs up', (socket) => socket.end(Buffer.alloc(1_000, 0x30))],
  [
    'sends another kind of answer and hangs up',
    (socket, request) => socket.end(success(request, EXTENDED_RESPONSE).fill(0xff, 6)),
  ],
])('a server that %s makes the bind fail, and the connection is not used again', async (_, onRequest) => {
  const server = await startServer(onRequest)
  const connection = await dialLdap(server.url, PLAIN)
  await expect(connection.bind('cn=a', 'secret')).rejects.toThrow()
  await expect(connection.bind('cn=a', 'secret')).rejects.toThrow()
  connection.close()
  expect(server.connections()).toBe(1)
  await expect(dialLdap(server.url, STARTS_TLS)).rejects.toThrow()
})

test('unencrypted data after the answer to StartTLS ends the connection', async () => {
  const injected = Buffer.from([0x30, 0x84])
  const server = await startServer((socket, request) =>
    socket.write(Buffer.concat([success(request, EXTENDED_RESPONSE), injected])),
  )
  await expect(dialLdap(server.url, STARTS_TLS)).rejects.toThrow('unencrypted data after StartTLS')
  expect(Buffer.concat(server.requests).includes('secret')).toBe(false)
})

test('a failed TLS handshake ends the connection, and nothing more is sent', async () => {
  let count = 0
  const server = await startServer((socket, request) => {
    if (count++ === 0) socket.write(success(request, EXTENDED_RESPONSE))
    else socket.end('this is no TLS\n')
  })
  await expect(dialLdap(server.url, STARTS_TLS)).rejects.toThrow()
  expect(server.connections()).toBe(1)
})

test('a bind fails if no server listens', async () => {
  const server = await startServer(() => {})
  const connection = await dialLdap('ldap://127.0.0.1:1', PLAIN)
  await expect(connection.bind('cn=a', 'secret')).rejects.toThrow('ECONNREFUSED')
  connection.close()
  expect(server.connections()).toBe(0)
})
