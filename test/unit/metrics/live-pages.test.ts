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
