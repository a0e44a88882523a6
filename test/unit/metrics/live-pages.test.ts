import { expect, onTestFinished, test, vi } from 'vitest'
import type { Stream } from '../../../src/metrics/http-server.ts'
import { livePages } from '../../../src/metrics/live-pages.ts'
import { TallyNames } from '../../../src/pool/tallies.ts'
import { MadeUpPool, madeUpFleet } from '../../support/live/made-up-fleet.ts'

test('whoever came by a token that is good no more is told nothing more', async () => {
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
