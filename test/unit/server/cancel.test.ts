import { expect, test } from 'vitest'
import { ManualClock } from '../../../src/base/clock.ts'
import { createLog } from '../../../src/base/log.ts'
import { createMemoryTransport } from '../../../src/net/memory-transport.ts'
import type { TlsContext } from '../../../src/net/tls.ts'
import { CancelSender } from '../../../src/server/cancel.ts'
import type { ServerEncryption } from '../../../src/server/encryption.ts'
import type { Server } from '../../../src/server/server.ts'
import { quiet } from '../../support/flow/inbox.ts'

const DATABASE = { host: 'db', port: 5432 }
const SSL_REQUEST = '0000000804d2162f'

test('no cancel request goes unencrypted to a server whose own connection is encrypted, even if TLS is optional', async () => {
  const transport = createMemoryTransport()
  const keepAlive = { isOn: false, idleMs: 0 }
  const received: string[] = []
  await transport.listen({ ...DATABASE, backlog: 1, keepAlive }, (channel) => {
    channel.listener = {
      onRead(buffer, from, to) {
        received.push(buffer.toString('hex', from, to))
        // Somebody in between refuses TLS.
        channel.write(Buffer.from('N'), 0, 1)
      },
      onDrained: () => {},
      onClosed: () => {},
    }
  })
  const logged: string[] = []
  const log = createLog({ format: 'text', level: 'info', wallMs: () => 0, write: (line) => logged.push(line) })
  const cancels = new CancelSender({ transport, clock: new ManualClock(), log, keepAlive, timeoutMs: () => 0 })
  const preferred: ServerEncryption = {
    ...{ verifies: 'nothing', isRequired: false, isDirect: false, fingerprint: '' },
    context: {} as TlsContext,
  }
  const server: Partial<Server> = {
    ...{ address: DATABASE, peer: DATABASE, tls: 'TLSv1.3', encryption: preferred, logFields: {} },
    ...{ pid: 7, cancelKey: Buffer.from('abcdef01', 'hex'), cancelBegins: () => {}, cancelEnds: () => {} },
    context: { encryption: () => preferred } as unknown as Server['context'],
  }
  let isOver = false
  cancels.send(server as Server, {
    isStillWanted: () => true,
    over: () => {
      isOver = true
    },
  })
  await quiet()
  expect(received).toEqual([SSL_REQUEST])
  expect(isOver).toBe(true)
  expect(logged.join()).toContain('the server does not support TLS')
})
