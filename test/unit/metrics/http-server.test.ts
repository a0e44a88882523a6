import { request } from 'node:http'
import { expect, onTestFinished, test } from 'vitest'
import { openHttpServer, type Pages, plain } from '../../../src/metrics/http-server.ts'

const HERE = [{ host: '127.0.0.1', port: 0 }]
const PAGES: Pages = new Map([
  ['/page', () => plain(200, 'a page\n')],
  [
    '/broken',
    () => {
      throw new Error('a mistake')
    },
  ],
])

interface Got {
  readonly status: number
  readonly headers: NodeJS.Dict<string | string[]>
  readonly body: string
}

async function open() {
  const troubles: unknown[] = []
  const server = await openHttpServer({
    ...{ setting: 'http_listen', listen: HERE, pages: PAGES },
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
  return { ask, server, troubles }
}

test('a page is sent as it is, whatever follows its path, and never kept', async () => {
  const { ask } = await open()
  expect(await ask('/page?now=1')).toMatchObject({
    status: 200,
    body: 'a page\n',
    headers: { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' },
  })
})

test('HEAD is GET without the body', async () => {
  const { ask } = await open()
  expect(await ask('/page', 'HEAD')).toMatchObject({ status: 200, body: '', headers: { 'content-length': '7' } })
})

test('what there is not is not found, and only GET and HEAD are methods', async () => {
  const { ask } = await open()
  expect(await ask('/')).toMatchObject({ status: 404 })
  expect(await ask('/page/')).toMatchObject({ status: 404 })
  expect(await ask('/page', 'POST', 'x'.repeat(100_000))).toMatchObject({
    status: 405,
    headers: { allow: 'GET, HEAD', connection: 'close' },
  })
})

test('a head that is too long is refused', async () => {
  const { ask } = await open()
  expect(await ask(`/page?${'x'.repeat(10_000)}`)).toMatchObject({ status: 431 })
})

test('a mistake of ours is told to the log, not to who asks', async () => {
  const { ask, troubles } = await open()
  expect(await ask('/broken')).toMatchObject({ status: 500, body: 'internal error\n' })
  expect(troubles).toMatchObject([{ message: 'a mistake' }])
})

test('an address that is taken is an error that names it, and nothing stays open', async () => {
  const { server } = await open()
  const [address] = server.addresses
  const taken = openHttpServer({
    ...{ setting: 'http_listen', listen: [...HERE, address ?? { host: '', port: 0 }], pages: PAGES },
    onTrouble() {},
  })
  await expect(taken).rejects.toThrow(`http_listen: 127.0.0.1:${address?.port} cannot be listened on`)
})
