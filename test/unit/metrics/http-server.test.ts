import { once } from 'node:events'
import { request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { type Answer, openHttpServer, type Pages, plain, type Stream } from '../../../src/metrics/http-server.ts'
import { until } from '../../support/e2e/until.ts'

const HERE = [{ host: '127.0.0.1', port: 0 }]
const openStream: Stream['open'] = (send) => {
  send('data: 1\n\n')
  return () => {}
}
const PAGES: Pages = new Map<string, Answer>([
  ['/page', () => plain(200, 'a page\n')],
  [
    '/broken',
    () => {
      throw new Error('a mistake')
    },
  ],
  ['/stream', () => ({ contentType: 'text/event-stream', open: openStream })],
])

interface Got {
  readonly status: number
  readonly headers: NodeJS.Dict<string | string[]>
  readonly body: string
}

async function open(listen = HERE) {
  const troubles: unknown[] = []
  const server = await openHttpServer({
    ...{ setting: 'http_listen', listen, pages: PAGES },
    onTrouble: (problem) => troubles.push(problem),
  })
  onTestFinished(() => server.close())
  const [address] = server.addresses
  const ask = (path: string, method = 'GET', body = '') =>
    new Promise<Got>((resolve, reject) => {
      const asking = request({ host: '127.0.0.1', port: address?.port, path, method }, (response) => {
        let text = ''
        response.on('data', (chunk) => {
          text += chunk
        })
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }))
      })
      asking.on('error', reject)
      asking.end(body)
    })
  /** Opens a connection that stays open. `heard` is the first answer to its request; null if the connection is closed instead. */
  const hold = async (text: string, waits = true) => {
    const socket = connect(address?.port ?? 0, '127.0.0.1')
    onTestFinished(() => void socket.destroy())
    socket.on('error', () => {})
    await once(socket, 'connect')
    socket.write(text)
    if (!waits) return { socket, heard: null }
    return { socket, heard: await firstHeard(socket) }
  }
  return { ask, hold, server, troubles }
}

function firstHeard(socket: Socket): Promise<string | null> {
  return new Promise((resolve) => {
    socket.once('data', (chunk) => resolve(String(chunk)))
    socket.once('close', () => resolve(null))
  })
}

const asks = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`

test('a page is sent unchanged, whatever query string follows its path, and is not cached', async () => {
  const { ask } = await open()
  expect(await ask('/page?now=1')).toMatchObject({
    status: 200,
    body: 'a page\n',
    headers: { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' },
  })
})

test('a server that only this machine can reach refuses requests for foreign host names, as a DNS rebinding page would send', async () => {
  const { hold } = await open()
  const asksFor = (host: string) => asks('/page').replace('localhost', host)
  expect((await hold(asksFor('rebound.example:9127'))).heard).toContain('HTTP/1.1 421 ')
  expect((await hold(asksFor('127.0.0.1:9127'))).heard).toContain('HTTP/1.1 200 ')
  const everywhere = await open([...HERE, { host: '0.0.0.0', port: 0 }])
  expect((await everywhere.hold(asksFor('pgweir.example'))).heard).toContain('HTTP/1.1 200 ')
})

test('HEAD is GET without the body', async () => {
  const { ask } = await open()
  expect(await ask('/page', 'HEAD')).toMatchObject({ status: 200, body: '', headers: { 'content-length': '7' } })
})

test('unknown paths are not found, and only GET and HEAD are allowed', async () => {
  const { ask } = await open()
  expect(await ask('/')).toMatchObject({ status: 404 })
  expect(await ask('/page/')).toMatchObject({ status: 404 })
  expect(await ask('/page', 'POST', 'x'.repeat(100_000))).toMatchObject({
    status: 405,
    headers: { allow: 'GET, HEAD', connection: 'close' },
  })
})

test('a request header that is too long is refused', async () => {
  const { ask } = await open()
  expect(await ask(`/page?${'x'.repeat(10_000)}`)).toMatchObject({ status: 431 })
})

test('an exception in a page is logged, and not shown to the client', async () => {
  const { ask, troubles } = await open()
  expect(await ask('/broken')).toMatchObject({ status: 500, body: 'internal error\n' })
  expect(troubles).toMatchObject([{ message: 'a mistake' }])
})

test('an address in use is an error that names it, and nothing stays open', async () => {
  const { server } = await open()
  const [address] = server.addresses
  const taken = openHttpServer({
    ...{ setting: 'http_listen', listen: [...HERE, address ?? { host: '', port: 0 }], pages: PAGES },
    onTrouble() {},
  })
  await expect(taken).rejects.toThrow(`http_listen: cannot listen on 127.0.0.1:${address?.port}`)
})

test('an IPv6 address is in brackets in an error, as in the setting', async () => {
  // This address exists on no machine, because it is reserved for documentation.
  const listen = [{ host: '2001:db8::1', port: 9127 }]
  const taken = openHttpServer({ setting: 'http_listen', listen, pages: PAGES, onTrouble() {} })
  await expect(taken).rejects.toThrow('http_listen: cannot listen on [2001:db8::1]:9127')
})

// http-connections.test.ts tests which connection is closed; here idle ones also end by timeout.
test('new connections are answered, however many idle connections there are', async () => {
  const { hold } = await open()
  const held: Awaited<ReturnType<typeof hold>>[] = []
  for (let each = 0; each < 130; each++) held.push(await hold(asks('/page')))
  expect(held.map(({ heard }) => heard?.slice(0, 15))).toEqual(held.map(() => 'HTTP/1.1 200 OK'))
  await until('the oldest connections are closed', () => held.slice(0, 30).every(({ socket }) => socket.closed))
})

test('new connections are answered, however many others send nothing or only part of a request', async () => {
  const { ask, hold } = await open()
  for (let each = 0; each < 130; each++) await hold(each % 2 === 0 ? '' : 'GET /page HTTP/1.1\r\nHost:', false)
  expect(await ask('/page')).toMatchObject({ status: 200 })
})

test('at most 50 streams are open, further ones get status 503, and the open ones stay', async () => {
  const { ask, hold } = await open()
  const streams = []
  for (let each = 0; each < 50; each++) streams.push(await hold(asks('/stream')))
  expect(streams.map(({ heard }) => heard?.slice(0, 15))).toEqual(streams.map(() => 'HTTP/1.1 200 OK'))
  for (let each = 0; each < 80; each++) expect((await hold(asks('/stream'))).heard).toContain('HTTP/1.1 503')
  expect(await ask('/page')).toMatchObject({ status: 200 })
  expect(streams.filter(({ socket }) => socket.closed)).toEqual([])
  streams[0]?.socket.destroy()
  await until('there is room for another', async () => (await hold(asks('/stream'))).heard?.includes(' 200 ') === true)
})

test('pipelined requests are all answered, even after a stream that ends', async () => {
  const { hold } = await open()
  const { socket, heard } = await hold(asks('/page') + asks('/page') + asks('/broken') + asks('/page'))
  let all = heard ?? ''
  socket.on('data', (chunk) => {
    all += chunk
  })
  await until('all requests are answered', () => all.match(/HTTP\/1.1 200 OK/g)?.length === 3)
  const streamed = await hold(`${asks('/stream').replace('GET', 'HEAD')}${asks('/stream')}${asks('/page')}`)
  expect(streamed.heard).toContain('200 OK')
})
