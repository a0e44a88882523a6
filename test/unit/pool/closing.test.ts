import { expect, test } from 'vitest'
import { Closing } from '../../../src/pool/closing.ts'
import { OPEN, whenPaused, whenRetired } from '../../../src/pool/states.ts'
import { PoolerError } from '../../../src/problems.ts'
import { SERVER_STATES } from '../../../src/server/states.ts'
import { type ToyServer, toyServers } from './toy-servers.ts'

const PAUSED = whenPaused(OPEN)
const NOTICE = new PoolerError('database-removed')
const RETIRED = whenRetired(OPEN, NOTICE)

function closingOf(toys: readonly ToyServer[], isOfOneClient = false): { closing: Closing; heard: string[] } {
  const heard: string[] = []
  return { closing: new Closing(toyServers(toys, heard).lists, isOfOneClient), heard }
}

test("servers that must not be used again are closed once they are free; a replication client's server is closed at once, with a notice", () => {
  const many = closingOf([{ state: 'idle' }, { state: 'leased' }])
  many.closing.condemnAll('RECONNECT')
  expect(many.heard).toEqual(['0 condemned: RECONNECT', '1 condemned: RECONNECT'])
  const one = closingOf([{ state: 'leased' }], true)
  one.closing.condemnAll('RECONNECT')
  const { message } = new PoolerError('replication-renewed', { reason: 'RECONNECT' })
  expect(one.heard).toEqual([`0 closed: RECONNECT; ${message}`])
})

test('when a host name resolves to new addresses, only servers at addresses it no longer has are closed', () => {
  const { closing, heard } = closingOf([
    { state: 'idle', at: '10.0.0.1' },
    { state: 'leased', at: '10.0.0.2' },
    { state: 'leased', at: 'fe80::1%eth0' },
    { state: 'dialing', at: 'db' },
    { state: 'idle', host: 'other', at: '10.0.0.1' },
  ])
  closing.condemnMoved('db', new Set(['10.0.0.2', 'fe80::1']))
  expect(heard).toEqual(['0 condemned: the host now has a different address'])
})

test('a paused pool closes all its servers except those in use', () => {
  const { closing, heard } = closingOf(
    SERVER_STATES.slice(0, SERVER_STATES.indexOf('closing')).map((state) => ({ state })),
  )
  closing.closeFree(PAUSED)
  const closed = heard.map((words) => SERVER_STATES[Number.parseInt(words, 10)])
  const left = SERVER_STATES.filter((state) => !closed.includes(state))
  expect([heard.every((words) => words.endsWith(' closed: pause mode')), left]).toEqual([
    true,
    ['aligning', 'leased', 'restoring', 'closing', 'closed'],
  ])
})

test('an open pool closes nothing', () => {
  const { closing, heard } = closingOf([{ state: 'idle' }, { state: 'leased', streams: true }], true)
  closing.closeFree(OPEN)
  closing.endStreams(OPEN)
  expect(heard).toEqual([])
})

test('a paused or retired pool ends its replication stream with a notice and leaves other leased servers alone', () => {
  const toys: ToyServer[] = [{ state: 'leased', streams: true }, { state: 'leased' }]
  const paused = closingOf(toys, true)
  paused.closing.endStreams(PAUSED)
  const { message } = new PoolerError('replication-renewed', { reason: 'pause mode' })
  expect(paused.heard).toEqual([`0 closed: pause mode; ${message}`])
  const retired = closingOf(toys, true)
  retired.closing.endStreams(RETIRED)
  expect(retired.heard).toEqual([`0 closed: ${NOTICE.message}; ${NOTICE.message}`])
})
