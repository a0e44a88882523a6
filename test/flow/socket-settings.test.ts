/** The settings about sockets are passed to the transport. What it does with them is tested on real sockets, in test/unit/net. */

import { expect, test } from 'vitest'
import type { KeepAlive, ListenOptions } from '../../src/net/channel.ts'
import { createMemoryTransport, type MemoryTransport } from '../../src/net/memory-transport.ts'
import { command } from '../support/flow/commands.ts'
import { startFlow } from '../support/flow/start.ts'

/** Returns a transport that records the options that it is given. */
function watched() {
  const memory = createMemoryTransport()
  const listens: ListenOptions[] = []
  const dials: KeepAlive[] = []
  const transport: MemoryTransport = {
    ...memory,
    listen(options, onAccepted) {
      listens.push(options)
      return memory.listen(options, onAccepted)
    },
    dial(options, listener) {
      dials.push(options.keepAlive)
      return memory.dial(options, listener)
    },
  }
  return { transport, dials, ofClients: () => listens.find(({ host }) => host === '127.0.0.1') as ListenOptions }
}

const SILENT = {
  tcp_keepidle: 70,
  tcp_keepintvl: 11,
  tcp_keepcnt: 4,
  tcp_user_timeout: '12.345s',
  tcp_socket_buffer: 100_000,
  tcp_defer_accept: 3,
}

test('keepalive, timeout and buffer settings apply to connections of clients and to servers, with new values after a SET', async () => {
  const { transport, dials, ofClients } = watched()
  const flow = await startFlow({ transport, settings: SILENT })
  await flow.connect()
  const wanted = {
    isOn: true,
    idleMs: 70_000,
    intervalMs: 11_000,
    probes: 4,
    userTimeoutMs: 12_345,
    bufferBytes: 100_000,
    deferMs: 3_000,
  }
  const shown = ({ isOn, idleMs, intervalMs, probes, userTimeoutMs, bufferBytes, deferMs }: KeepAlive) => ({
    ...{ isOn, idleMs, intervalMs, probes, userTimeoutMs, bufferBytes, deferMs },
  })
  const toServer = dials.find(({ probes }) => probes !== undefined) as KeepAlive
  expect([shown(toServer), shown(ofClients().keepAlive)]).toEqual([wanted, wanted])
  await command(flow, 'set tcp_keepcnt = 5')
  await command(flow, 'set tcp_keepalive = 0')
  await command(flow, 'set tcp_defer_accept = 1')
  expect(shown(ofClients().keepAlive)).toEqual({ ...wanted, isOn: false, probes: 5, deferMs: 1_000 })
})

test('listen_backlog and so_reuseport are passed to the listening socket', async () => {
  const { transport, ofClients } = watched()
  await startFlow({ transport, settings: { listen_backlog: 77, so_reuseport: 1 } })
  expect(ofClients()).toMatchObject({ backlog: 77, sharesPort: true })
})
