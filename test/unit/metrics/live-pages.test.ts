import { expect, onTestFinished, test, vi } from 'vitest'
import type { Page, Stream } from '../../../src/metrics/http-server.ts'
import { livePages } from '../../../src/metrics/live-pages.ts'
import { TallyNames } from '../../../src/pool/tallies.ts'
import { MadeUpPool, madeUpFleet } from '../../support/live/made-up-fleet.ts'

test('a live stream ends when the token with which it was opened is no longer valid', async () => {
  vi.useFakeTimers()
  onTestFinished(() => {
    vi.useRealTimers()
  })
  let token = 'old'
  const options = { fleet: madeUpFleet([new MadeUpPool('app')]), names: new TallyNames(10), onTrouble: () => {} }
  const answer = livePages(options, () => token).get('/live')
  const stream = (await answer?.({ headers: { authorization: 'Bearer old' } } as never)) as Stream
  const heard: string[] = []
  const send = (text: string) => heard.push(text) > 0
  const close = stream.open(send, () => heard.push('the end'))
  await vi.advanceTimersByTimeAsync(1_000)
  expect(heard).toEqual([expect.stringMatching(/^data: /), expect.stringMatching(/^data: /)])
  token = 'new'
  await vi.advanceTimersByTimeAsync(1_000)
  expect(heard.slice(2)).toEqual(['the end'])
  close()
})

test('addresses are written as in the log: IPv6 in brackets, and a unix socket with the process at the other end', async () => {
  const fleet = madeUpFleet([new MadeUpPool('app')])
  const peers = [
    { host: '::1', port: 50112 },
    { host: '/tmp/.s.PGSQL.6432', port: 6432, process: { pid: 4711, uid: 1000, gid: 1000 } },
  ]
  const at = (peer: (typeof peers)[number]) => async () =>
    [...(await fleet.clients())].map((client) => ({ ...client, peer }))
  const told: unknown[] = []
  for (const peer of peers) {
    const options = { fleet: { ...fleet, clients: at(peer) }, names: new TallyNames(10), onTrouble: () => {} }
    const answer = livePages(options, () => '').get('/live/pool')
    const page = (await answer?.({ url: '/live/pool?database=app&user=ada', headers: {} } as never)) as Page
    told.push(JSON.parse(String(page.body)).clients[0].address)
  }
  expect(told).toEqual(['[::1]:50112', 'unix(4711):6432'])
})

test("a pool's page has all its clients, also those that have logged in as other users", async () => {
  const [app, rest, late] = [new MadeUpPool('app', 'owner'), new MadeUpPool('shop'), new MadeUpPool('late')]
  app.clientUser = 'ada'
  const options = { fleet: madeUpFleet([app, rest, late]), names: new TallyNames(1), onTrouble: () => {} }
  const pageOf = async (database: string, user: string) => {
    const answer = livePages(options, () => '').get('/live/pool')
    const page = (await answer?.({ url: `/live/pool?database=${database}&user=${user}`, headers: {} } as never)) as Page
    const { clients, servers } = JSON.parse(String(page.body))
    return { users: clients.map((client: { user: string }) => client.user), servers: servers.length }
  }
  expect(await pageOf('app', 'owner')).toEqual({ users: ['ada'], servers: 1 })
  expect(await pageOf('app', 'ada')).toEqual({ users: [], servers: 0 })
  // The pools beyond the limit of names, together.
  expect(await pageOf('other', 'other')).toEqual({ users: ['ada', 'ada'], servers: 2 })
})
