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

test('servers that are not to be used any more are closed as they come free; the one of a follower at once, and it is told why', () => {
  const many = closingOf([{ state: 'idle' }, { state: 'leased' }])
  many.closing.condemnAll('RECONNECT')
  expect(many.heard).toEqual(['0 condemned: RECONNECT', '1 condemned: RECONNECT'])
  const one = closingOf([{ state: 'leased' }], true)
  one.closing.condemnAll('RECONNECT')
  const { message } = new PoolerError('replication-renewed', { reason: 'RECONNECT' })
  expect(one.heard).toEqual([`0 closed: RECONNECT; ${message}`])
})

test('where a host has other addresses, only those servers go that are at one of the old ones', () => {
  const { closing, heard } = closingOf([
    { state: 'idle', at: '10.0.0.1' },
    { state: 'leased', at: '10.0.0.2' },
    { state: 'leased', at: 'fe80::1%eth0' },
    { state: 'dialing', at: 'db' },
    { state: 'idle', host: 'other', at: '10.0.0.1' },
  ])
  closing.condemnMoved('db', new Set(['10.0.0.2', 'fe80::1']))
  expect(heard).toEqual(['0 condemned: the host has another address now'])
})

test('where there are no leases, all servers are closed but those that somebody uses', () => {
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

test('where there are leases, nothing is closed', () => {
  const { closing, heard } = closingOf([{ state: 'idle' }, { state: 'leased', streams: true }], true)
  closing.closeFree(OPEN)
  closing.endStreams(OPEN)
  expect(heard).toEqual([])
})

test('a stream is ended where there are no leases, and told the last word of the pool if it has one; anything else goes on', () => {
  const toys: ToyServer[] = [{ state: 'leased', streams: true }, { state: 'leased' }]
  const paused = closingOf(toys, true)
  paused.closing.endStreams(PAUSED)
  const { message } = new PoolerError('replication-renewed', { reason: 'pause mode' })
  expect(paused.heard).toEqual([`0 closed: pause mode; ${message}`])
  const retired = closingOf(toys, true)
  retired.closing.endStreams(RETIRED)
  expect(retired.heard).toEqual([`0 closed: ${NOTICE.message}; ${NOTICE.message}`])
})
