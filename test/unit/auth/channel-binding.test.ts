/** Channel binding (SCRAM-SHA-256-PLUS). The certificates in test/cases/channel-binding are signed with each algorithm; node-postgres is the oracle. */

import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { endPointHash } from '../../../src/auth/channel-binding.ts'
import { ScramClient } from '../../../src/auth/scram-client.ts'
import { generateScramSecret } from '../../../src/auth/scram-keys.ts'
import { mechanismsFor } from '../../../src/auth/scram-server.ts'
import { PlainSecret } from '../../../src/auth/secrets.ts'
import { PoolerError } from '../../../src/problems.ts'
import {
  altered,
  FEW_ITERATIONS,
  ForeseeingServer,
  problem,
  rejectionOf,
  SALT_KEY,
  scram,
  thrownBy,
} from './support.ts'

const oracle: {
  startSession(mechanisms: string[], stream: object): { mechanism: string; response: string }
  continueSession(session: object, password: string, serverFirst: string, stream: object): Promise<void>
  finalizeSession(session: object, serverFinal: string): void
} = createRequire(import.meta.url)('pg/lib/crypto/sasl.js')

const CASES = fileURLToPath(new URL('../../cases/channel-binding/', import.meta.url))
const certificateOf = (name: string) => readFileSync(`${CASES}${name}.der`)
const digest = (name: string, bytes: Buffer) => createHash(name).update(bytes).digest()

describe('the certificate hash for channel binding', () => {
  // https://www.rfc-editor.org/rfc/rfc5929#section-4.1
  test.each([
    ['rsa-md5', 'sha256'],
    ['rsa-sha1', 'sha256'],
    ['rsa-sha224', 'sha224'],
    ['rsa-sha256', 'sha256'],
    ['rsa-sha384', 'sha384'],
    ['rsa-sha512', 'sha512'],
    ['pss-sha1', 'sha256'],
    ['pss-sha256', 'sha256'],
    ['pss-sha384', 'sha384'],
    ['ec-sha1', 'sha256'],
    ['ec-sha256', 'sha256'],
    ['ec-sha384', 'sha384'],
    ['ec-sha512', 'sha512'],
  ])('of a certificate signed with %s uses %s', (name, hash) => {
    const certificate = certificateOf(name)
    expect(endPointHash(certificate)).toEqual(digest(hash, certificate))
  })

  test('does not exist if the signature algorithm has no hash', () => {
    expect(endPointHash(certificateOf('ed25519'))).toBe(null)
  })

  test('does not exist for bytes that are not a certificate', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => endPointHash(Buffer.from(bytes)) === null))
    for (const name of readdirSync(CASES)) {
      const whole = readFileSync(CASES + name)
      for (let end = 0; end < whole.length; end += 7) expect(endPointHash(whole.subarray(0, end))).toBe(null)
    }
  })
})

const BINDING = digest('sha256', Buffer.from('a certificate'))
const OTHER = digest('sha256', Buffer.from('another certificate'))
const BOTH = ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256']

function serverFor(
  binding: Buffer | null,
  secret: PlainSecret | Parameters<typeof scram>[0] = new PlainSecret('secret'),
) {
  const held = typeof secret === 'string' ? scram(secret) : secret
  return new ForeseeingServer('user', held, { iterations: FEW_ITERATIONS, saltKey: SALT_KEY, binding })
}

async function exchange(client: ScramClient, server: ForeseeingServer) {
  const outcome = await server.finish(await client.final(server.start(client.first(), client.mechanism)))
  if (outcome.ok) client.verify(outcome.serverFinal)
  return outcome
}

describe('a login', () => {
  test('is bound if both sides support it, and its keys can be used for a login without channel binding', async () => {
    const text = await generateScramSecret('secret', FEW_ITERATIONS)
    const server = serverFor(BINDING, text)
    const client = new ScramClient(new PlainSecret('secret'), { binding: BINDING, offered: mechanismsFor(BINDING) })
    expect(client.mechanism).toBe('SCRAM-SHA-256-PLUS')
    const outcome = await exchange(client, server)
    expect(outcome.ok && client.isVerified).toBe(true)
    if (!outcome.ok) return
    expect((await exchange(new ScramClient(outcome.keys), serverFor(null, text))).ok).toBe(true)
    const bound = new ScramClient(outcome.keys, { binding: OTHER, offered: BOTH })
    expect((await exchange(bound, serverFor(OTHER, text))).ok).toBe(true)
  })

  test('is not bound if one side does not support it', async () => {
    expect(mechanismsFor(null)).toEqual(['SCRAM-SHA-256'])
    const able = new ScramClient(new PlainSecret('secret'), { binding: BINDING, offered: mechanismsFor(null) })
    expect(able.mechanism).toBe('SCRAM-SHA-256')
    expect(able.first().toString()).toMatch(/^y,,/)
    const offering = serverFor(BINDING)
    expect(mechanismsFor(BINDING)).toEqual(BOTH)
    const unable = new ScramClient(new PlainSecret('secret'), { offered: BOTH })
    expect(unable.mechanism).toBe('SCRAM-SHA-256')
    expect((await exchange(unable, offering)).ok).toBe(true)
    const again = new ScramClient(new PlainSecret('secret'), { binding: BINDING, offered: ['SCRAM-SHA-256'] })
    expect((await exchange(again, serverFor(null))).ok).toBe(true)
  })

  test('through another certificate is refused even if the password is right', async () => {
    const client = new ScramClient(new PlainSecret('secret'), { binding: OTHER, offered: BOTH })
    expect(await rejectionOf(exchange(client, serverFor(BINDING)))).toEqual(
      problem('channel-binding-failed', 'channel binding check failed'),
    )
  })

  test('of a client that saw no offer of channel binding is refused, because somebody has removed the offer', () => {
    const client = new ScramClient(new PlainSecret('secret'), { binding: BINDING, offered: ['SCRAM-SHA-256'] })
    expect(thrownBy(() => serverFor(BINDING).start(client.first(), client.mechanism))).toEqual(
      problem('channel-binding-shortened', 'channel binding negotiation error'),
    )
  })

  test.each([
    ['SCRAM-SHA-256-PLUS', 'n,,n=,r=abc', 'does not bind the channel'],
    ['SCRAM-SHA-256', 'p=tls-server-end-point,,n=,r=abc', 'binds the channel and has selected SCRAM-SHA-256'],
    ['SCRAM-SHA-256-PLUS', 'p=tls-unique,,n=,r=abc', 'of an unknown type'],
    ['SCRAM-SHA-256-PLUS', 'p,,n=,r=abc', 'unexpected channel binding flag'],
  ])('with %s and the first message %s is refused', (mechanism, first, reason) => {
    expect(thrownBy(() => serverFor(BINDING).start(Buffer.from(first), mechanism))).toEqual(
      problem('bad-sasl-message', reason),
    )
  })

  test('is refused if the hash in it is cut off, too long or missing', async () => {
    const header = Buffer.from('p=tls-server-end-point,,')
    for (const bytes of [
      header,
      Buffer.concat([header, BINDING.subarray(1)]),
      Buffer.concat([header, BINDING, BINDING]),
    ]) {
      const server = serverFor(BINDING)
      const client = new ScramClient(new PlainSecret('secret'), { binding: BINDING, offered: BOTH })
      const final = await client.final(server.start(client.first(), client.mechanism))
      const changed = altered(final, /^c=[^,]+/, `c=${bytes.toString('base64')}`)
      expect(await rejectionOf(server.finish(changed))).toBeInstanceOf(PoolerError)
    }
  })

  test.each(['rsa-sha1', 'rsa-sha512', 'ec-sha384', 'pss-sha256'])(
    'of node-postgres is bound to the certificate %s',
    async (name) => {
      const certificate = certificateOf(name)
      const server = serverFor(endPointHash(certificate))
      const stream = { getPeerCertificate: () => ({ raw: certificate }) }
      const session = oracle.startSession([...mechanismsFor(endPointHash(certificate))], stream)
      expect(session.mechanism).toBe('SCRAM-SHA-256-PLUS')
      const serverFirst = server.start(Buffer.from(session.response), session.mechanism).toString()
      await oracle.continueSession(session, 'secret', serverFirst, stream)
      const outcome = await server.finish(Buffer.from(session.response))
      expect(outcome.ok).toBe(true)
      if (outcome.ok) oracle.finalizeSession(session, outcome.serverFinal.toString())
    },
  )
})
