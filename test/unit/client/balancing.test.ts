import { expect, test } from 'vitest'
import { afterReplies, afterRequests, afterServerDrained, MAX_DEBTS } from '../../../src/client/balancing.ts'
import type { Channel } from '../../../src/net/channel.ts'
import { DEBT, Ledger } from '../../../src/server/ledger.ts'
import { FLUSH } from '../../../src/wire/frontend.ts'

function setUp({ owedToClient = 0, owedToServer = 0, debts = 0 } = {}) {
  const stops = new Set<string>()
  const sent: Buffer[] = []
  const ledger = new Ledger()
  for (let left = debts; left > 0; left--) ledger.owe(DEBT.bind)
  const stopper = (peer: string) => (why: string, isOn: boolean) =>
    isOn ? stops.add(`${peer}: ${why}`) : stops.delete(`${peer}: ${why}`)
  const channelWith = (owedBytes: number) => ({ owedBytes }) as Channel
  const session = { channel: channelWith(owedToClient), stopReading: stopper('client') }
  const server = {
    channel: channelWith(owedToServer),
    ledger,
    stopReading: stopper('server'),
    send: (message: Buffer) => sent.push(message),
  }
  return { session, server, ledger, sent, stops: () => [...stops] }
}

test('both are read as long as both take what they are sent', () => {
  const { session, server, stops } = setUp()
  afterRequests(session, server, false)
  afterReplies(session, server)
  expect(stops()).toEqual([])
})

test('the client is not read while its server is full, until that is drained', () => {
  const { session, server, stops } = setUp({ owedToServer: 1 })
  afterRequests(session, server, false)
  expect(stops()).toEqual(['client: server-full'])
  afterServerDrained(session, { ...server, channel: { owedBytes: 0 } as Channel }, false)
  expect(stops()).toEqual([])
})

test('neither is read while the client takes no more', () => {
  const { session, server, stops } = setUp({ owedToClient: 1 })
  afterReplies(session, server)
  afterRequests(session, server, false)
  expect(stops()).toEqual(['server: client-full', 'client: client-full'])
})

test('a client that replicates is read even then', () => {
  const { session, server, stops } = setUp({ owedToClient: 1 })
  afterRequests(session, { ...server, ledger: { copy: 'both', length: 1 } as Ledger }, false)
  expect(stops()).toEqual([])
})

test('the client is not read while its server owes too many replies, which a Flush gets out', () => {
  const { session, server, ledger, sent, stops } = setUp({ debts: MAX_DEBTS + 1 })
  afterRequests(session, server, false)
  expect(stops()).toEqual(['client: server-full'])
  expect(sent).toEqual([FLUSH])
  afterReplies(session, server)
  expect(stops()).toEqual(['client: server-full'])
  ledger.fail()
  afterReplies(session, server)
  expect(stops()).toEqual([])
})

test('but for the rest of a message, within which nothing of ours may be sent', () => {
  const { session, server, sent, stops } = setUp({ debts: MAX_DEBTS + 1 })
  afterRequests(session, server, true)
  expect(stops()).toEqual([])
  expect(sent).toEqual([])
})

test('a client without a server waits for none', () => {
  const { session, stops } = setUp()
  session.stopReading('server-full', true)
  afterRequests(session, null, false)
  expect(stops()).toEqual([])
})
