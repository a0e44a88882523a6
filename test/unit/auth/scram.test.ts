import { createHmac } from 'node:crypto'
import { createRequire } from 'node:module'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { md5Hash } from '../../../src/auth/md5.ts'
import { ScramClient } from '../../../src/auth/scram-client.ts'
import { clientProof, deriveScramKeys, generateScramSecret, serverSignature } from '../../../src/auth/scram-keys.ts'
import { MAX_SCRAM_MESSAGE_BYTES } from '../../../src/auth/scram-messages.ts'
import { ScramServer } from '../../../src/auth/scram-server.ts'
import {
  MAX_SCRAM_ITERATIONS,
  MAX_SCRAM_SALT_BYTES,
  Md5Secret,
  PlainSecret,
  parseSecret,
  type Secret,
} from '../../../src/auth/secrets.ts'
import { takeInvariantFailures } from '../../support/every-file.ts'
import {
  altered,
  FEW_ITERATIONS,
  ForeseeingServer,
  logIn,
  plain,
  problem,
  recordedSecrets,
  rejectionOf,
  SALT_KEY,
  scram,
  thrownBy,
} from './support.ts'

/** node-postgres, as an independent client. */
const oracle: {
  startSession(mechanisms: string[]): { response: string }
  continueSession(session: object, password: string, serverFirst: string): Promise<void>
  finalizeSession(session: object, serverFinal: string): void
} = createRequire(import.meta.url)('pg/lib/crypto/sasl.js')

// https://www.rfc-editor.org/rfc/rfc7677#section-3
const RFC = {
  salt: Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'),
  clientNonce: 'rOprNGfwEbeRWgbNEkqO',
  serverNonce: '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
  clientFirst: 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO',
  serverFirst: 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
  clientFinal:
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  serverFinal: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
}

const rfcSecret = scram(await generateScramSecret('pencil', 4096, RFC.salt))

function serverFor(secret: Secret | null, options: { nonce?: string; user?: string } = {}): ScramServer {
  const { user = 'user', ...rest } = options
  return new ScramServer(user, secret, { iterations: FEW_ITERATIONS, saltKey: SALT_KEY, ...rest })
}

function foreseeingServerFor(...[secret, { user = 'user', ...rest } = {}]: Parameters<typeof serverFor>): ScramServer {
  return new ForeseeingServer(user, secret, { iterations: FEW_ITERATIONS, saltKey: SALT_KEY, ...rest })
}

/** Both must judge every final message alike. */
const SERVERS = [
  ['ScramServer', serverFor],
  ['ScramServer that has foreseen the final message', foreseeingServerFor],
] as const

async function secretFor(password: string, iterations = FEW_ITERATIONS) {
  return scram(await generateScramSecret(password, iterations))
}

describe('the example of RFC 7677', () => {
  test('is what ScramServer sends', async () => {
    const server = serverFor(rfcSecret, { nonce: RFC.serverNonce })
    expect(server.start(Buffer.from(RFC.clientFirst)).toString()).toBe(RFC.serverFirst)
    const outcome = await server.finish(Buffer.from(RFC.clientFinal))
    expect(outcome.ok && outcome.serverFinal.toString()).toBe(RFC.serverFinal)
  })

  test('has the proof and the signature that the client computes', async () => {
    const keys = await deriveScramKeys('pencil', RFC.salt, 4096)
    const signed = `${RFC.clientFirst.slice(3)},${RFC.serverFirst},${RFC.clientFinal.replace(/,p=.*/, '')}`
    expect(`p=${clientProof(keys.clientKey, signed).toString('base64')}`).toBe(RFC.clientFinal.replace(/.*,p/, 'p'))
    expect(`v=${serverSignature(keys.serverKey, signed).toString('base64')}`).toBe(RFC.serverFinal)
  })

  test('differs from what ScramClient sends only in the user name, which Postgres ignores', async () => {
    const client = new ScramClient(new PlainSecret('pencil'), { nonce: RFC.clientNonce })
    expect(client.first().toString()).toBe(RFC.clientFirst.replace('user', ''))
    expect(altered(await client.final(Buffer.from(RFC.serverFirst)), /,p=.*/, '').toString()).toBe(
      RFC.clientFinal.replace(/,p=.*/, ''),
    )
  })
})

describe.each(SERVERS)('a login to a %s', (_, serverFor) => {
  test('succeeds with the right password, whether the server holds the password or its SCRAM secret', async () => {
    for (const secret of [new PlainSecret('secret'), await secretFor('secret')]) {
      const client = new ScramClient(new PlainSecret('secret'))
      expect(await logIn(client, serverFor(secret))).toMatchObject({ ok: true })
      expect(client.isVerified).toBe(true)
    }
  })

  test('fails with a wrong password', async () => {
    for (const secret of [new PlainSecret('secret'), await secretFor('secret')]) {
      const client = new ScramClient(new PlainSecret('Secret'))
      expect(await logIn(client, serverFor(secret))).toEqual({ ok: false })
      expect(client.isVerified).toBe(false)
    }
  })

  test('fails for a user with an md5 hash or an empty password, and for an unknown user', async () => {
    for (const secret of [new Md5Secret(md5Hash('secret', 'user')), new PlainSecret(''), null]) {
      for (const password of ['', 'secret']) {
        expect(await logIn(new ScramClient(new PlainSecret(password)), serverFor(secret))).toEqual({ ok: false })
      }
    }
  })

  test('succeeds with every password that Postgres accepted', async () => {
    for (const { password, scram: text } of recordedSecrets) {
      expect(await logIn(new ScramClient(new PlainSecret(password)), serverFor(parseSecret(text)))).toMatchObject({
        ok: true,
      })
    }
  })

  test('of node-postgres succeeds only with the right password, for both kinds of secret', async () => {
    for (const secret of [new PlainSecret('pässword Ⅸ'), await secretFor('pässword Ⅸ')]) {
      for (const [password, isRight] of [
        ['pässword Ⅸ', true],
        ['pässword IX', true],
        ['password IX', false],
      ] as const) {
        const server = serverFor(secret)
        const session = oracle.startSession(['SCRAM-SHA-256']) as { response: string }
        await oracle.continueSession(session, password, server.start(Buffer.from(session.response)).toString())
        const outcome = await server.finish(Buffer.from(session.response))
        expect(outcome.ok).toBe(isRight)
        if (outcome.ok) oracle.finalizeSession(session, outcome.serverFinal.toString())
      }
    }
  })

  test('succeeds exactly if the passwords are equal, whatever characters they contain', async () => {
    const password = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
    await fc.assert(
      fc.asyncProperty(password, password, async (one, other) => {
        const outcome = await logIn(new ScramClient(new PlainSecret(other)), serverFor(new PlainSecret(one)))
        if (one === other) expect(outcome.ok).toBe(true)
        expect((await logIn(new ScramClient(new PlainSecret(one)), serverFor(new PlainSecret(one)))).ok).toBe(true)
        if (/^[ -~]*$/.test(one + other)) expect(outcome.ok).toBe(one === other)
      }),
      { numRuns: 40 },
    )
  })

  test('is offered the same salt for the same user and password in every process that has the salt key', () => {
    const saltOf = (server: ScramServer) => /,s=([^,]+)/.exec(server.start(Buffer.from('n,,n=,r=abc')).toString())?.[1]
    const salt = saltOf(serverFor(new PlainSecret('secret')))
    expect(saltOf(serverFor(new PlainSecret('secret')))).toBe(salt)
    expect(saltOf(serverFor(new PlainSecret('Secret')))).not.toBe(salt)
    expect(saltOf(serverFor(new PlainSecret('secret'), { user: 'bob' }))).not.toBe(salt)
    const other = { iterations: FEW_ITERATIONS, saltKey: Buffer.alloc(32, 9) }
    expect(saltOf(new ScramServer('user', new PlainSecret('secret'), other))).not.toBe(salt)
  })

  test('never gets the same nonce twice', () => {
    const nonces = Array.from({ length: 20 }, () => serverFor(rfcSecret).start(Buffer.from('n,,n=,r=abc')).toString())
    expect(new Set(nonces).size).toBe(20)
    expect(new Set(Array.from({ length: 20 }, () => new ScramClient(plain('x')).first().toString())).size).toBe(20)
  })
})

describe('the SCRAM keys of a client that has logged in', () => {
  test('allow a login to a server with the same secret, without the password', async () => {
    const secret = await secretFor('secret')
    const outcome = await logIn(new ScramClient(new PlainSecret('secret')), serverFor(secret))
    expect(outcome.ok).toBe(true)
    if (!outcome.ok) return
    expect(outcome.keys.storedKey).toEqual(secret.storedKey)
    expect(outcome.keys).toMatchObject({
      iterations: secret.iterations,
      salt: secret.salt,
      serverKey: secret.serverKey,
    })
    const client = new ScramClient(outcome.keys)
    expect(await logIn(client, serverFor(secret))).toMatchObject({ ok: true })
    expect(client.isVerified).toBe(true)
  })

  test('are refused before a proof is sent if the server has another salt or iteration count', async () => {
    const secret = await secretFor('secret')
    const outcome = await logIn(new ScramClient(new PlainSecret('secret')), serverFor(secret))
    if (!outcome.ok) throw new Error('the login failed')
    const others = [
      await secretFor('secret'),
      scram(await generateScramSecret('secret', FEW_ITERATIONS + 1, secret.salt)),
    ]
    for (const other of others) {
      const error = await rejectionOf(logIn(new ScramClient(outcome.keys), serverFor(other)))
      expect(error).toEqual(problem('server-wrong-password-type', 'wrong password type'))
    }
  })
})

describe('an unknown user', () => {
  test('gets answers like those for a known user, always with the same salt', async () => {
    const shapeOf = async (secret: Secret | null) => {
      const server = serverFor(secret, { nonce: 'N'.repeat(24), user: 'ghost' })
      const client = new ScramClient(new PlainSecret('guess'), { nonce: 'abc' })
      const serverFirst = server.start(client.first())
      const outcome = await server.finish(await client.final(serverFirst))
      return { serverFirst: serverFirst.toString(), outcome }
    }
    const mock = () => shapeOf(null)
    const form = /^r=abcN{24},s=[A-Za-z0-9+/]{22}==,i=8$/
    for (const answers of [await mock(), await shapeOf(new PlainSecret('x')), await shapeOf(await secretFor('x'))]) {
      expect(answers.serverFirst).toMatch(form)
      expect(answers.outcome).toEqual({ ok: false })
    }
    expect(await mock()).toEqual(await mock())
  })
})

describe.each(SERVERS)('%s refuses', (_, serverFor) => {
  test.each([
    ['', 'unexpected channel binding flag'],
    ['x,,n=,r=abc', 'unexpected channel binding flag'],
    ['N,,n=,r=abc', 'unexpected channel binding flag'],
    ['nn,,n=,r=abc', 'unexpected channel binding flag'],
    ['p=tls-server-end-point,,n=,r=abc', 'requires channel binding'],
    ['p=tls-unique,,n=,r=abc', 'requires channel binding'],
    ['p,,n=,r=abc', 'unexpected channel binding flag'],
    ['n', 'comma expected'],
    ['n,n=,r=abc', 'comma expected'],
    ['n,a=admin,n=,r=abc', 'authorization identity'],
    ['n,,', 'attribute expected'],
    ['n,,m=ext,n=,r=abc', 'unsupported extension'],
    ['n,,n=,m=ext,r=abc', 'unsupported extension'],
    ['n,,n=,r=abc,m=ext', 'unsupported extension'],
    ['n,,r=abc', 'attribute "n" expected'],
    ['n,,n=', 'attribute "r" expected'],
    ['n,,n=user', 'attribute "r" expected'],
    ['n,,n=,n=,r=abc', 'attribute "r" expected'],
    ['n,,n,r=abc', 'attribute expected'],
    ['n,,n=,r', 'attribute expected'],
    ['n,,n=,r=', 'nonce'],
    ['n,,n=,r=a b', 'nonce'],
    ['n,,n=,r=a\x7f', 'nonce'],
    ['n,,n=,r=ä', 'nonce'],
    ['n,,n=,r=abc,', 'attribute expected'],
    ['n,,n=,r=abc,1=x', 'attribute expected'],
    ['n,,n=,r=abc\0', 'zero byte'],
    ['n,,n=,r=abc,x=\0', 'zero byte'],
    [`n,,n=,r=${'a'.repeat(MAX_SCRAM_MESSAGE_BYTES)}`, 'longer than'],
  ])('the first message %j: %s', (message, reason) => {
    expect(thrownBy(() => serverFor(rfcSecret).start(Buffer.from(message)))).toEqual(
      problem('bad-sasl-message', reason),
    )
  })

  test.each([
    [/^c=biws/, 'c=eSws', 'unexpected channel binding'],
    [/^c=biws/, 'c=', 'unexpected channel binding'],
    [/^c=biws/, 'c=cD10bHMtdW5pcXVlLCw=', 'unexpected channel binding'],
    [/^c=biws,/, '', 'attribute "c" expected'],
    [/r=[^,]+,/, '', 'attribute "r" expected'],
    [/r=/, 'r=x', 'the nonce does not match'],
    [/,p=/, 'x,p=', 'the nonce does not match'],
    [/r=abc[^,]*/, 'r=abc', 'the nonce does not match'],
    [/,p=.*/, '', 'attribute "p" expected'],
    [/,p=.*/, ',x=y', 'attribute "p" expected'],
    [/,p=.*/, ',p=', 'malformed proof'],
    [/,p=.*/, `,p=${Buffer.alloc(31).toString('base64')}`, 'malformed proof'],
    [/,p=.*/, `,p=${Buffer.alloc(33).toString('base64')}`, 'malformed proof'],
    [/=$/, '', 'malformed proof'],
    [/=$/, '==', 'malformed proof'],
    [/,p=./, ',p=-', 'malformed proof'],
    [/,p=/, ',p= ', 'malformed proof'],
    [/$/, '\n', 'malformed proof'],
    [/$/, ',x=y', 'garbage'],
    [/,p=/, ',m=ext,p=', 'unsupported extension'],
    [/,p=/, ',,p=', 'attribute expected'],
    [/$/, ',', 'attribute expected'],
    [/$/, '\0', 'zero byte'],
    [/,p=/, `,x=${'y'.repeat(MAX_SCRAM_MESSAGE_BYTES)},p=`, 'longer than'],
  ])('the final message with %s as %j: %s', async (from, to, reason) => {
    const server = serverFor(new PlainSecret('secret'))
    const client = new ScramClient(new PlainSecret('secret'), { nonce: 'abc' })
    const final = altered(await client.final(server.start(client.first())), from, to)
    expect(await rejectionOf(server.finish(final))).toEqual(problem('bad-sasl-message', reason))
  })

  test('a proof with any bit changed', async () => {
    const secret = await secretFor('secret')
    for (let bit = 0; bit < 256; bit++) {
      const server = serverFor(secret)
      const client = new ScramClient(new PlainSecret('secret'))
      const final = (await client.final(server.start(client.first()))).toString()
      const proof = Buffer.from(final.replace(/.*,p=/, ''), 'base64')
      proof[bit >> 3] = (proof[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      const changed = final.replace(/,p=.*/, `,p=${proof.toString('base64')}`)
      expect(await server.finish(Buffer.from(changed))).toEqual({ ok: false })
    }
  })

  test('an exchange from which somebody has removed the client’s request for channel binding', async () => {
    const server = serverFor(new PlainSecret('secret'))
    const client = new ScramClient(new PlainSecret('secret'))
    const serverFirst = server.start(altered(client.first(), /^n/, 'y'))
    expect(await rejectionOf(server.finish(await client.final(serverFirst)))).toEqual(
      problem('bad-sasl-message', 'channel binding'),
    )
  })

  test('any malformed bytes with bad-sasl-message, and no other error', async () => {
    const message = fc.oneof(
      fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
      fc.stringMatching(/^[ny],,([nrcpsmx]=[!-~]{0,5},?){0,4}$/).map((text) => Buffer.from(text)),
      fc.stringMatching(/^([crpmx]=[!-~]{0,5},?){0,4}$/).map((text) => Buffer.from(text)),
    )
    await fc.assert(
      fc.asyncProperty(message, message, async (first, final) => {
        const server = serverFor(rfcSecret)
        const error = thrownBy(() => server.start(first))
        if (error !== 'nothing was thrown') {
          expect(error).toEqual(problem('bad-sasl-message', 'malformed SCRAM message'))
          return
        }
        expect(await rejectionOf(server.finish(final))).toEqual(problem('bad-sasl-message', 'malformed SCRAM message'))
      }),
    )
  })
})

test.each(SERVERS)('%s accepts a client that supports channel binding but was offered none', async (_, serverFor) => {
  const server = serverFor(rfcSecret, { nonce: 'xyz' })
  const first = server.start(Buffer.from('y,,n=,r=abc')).toString()
  const keys = await deriveScramKeys('pencil', RFC.salt, 4096)
  const withoutProof = 'c=eSws,r=abcxyz'
  const proof = clientProof(keys.clientKey, `n=,r=abc,${first},${withoutProof}`).toString('base64')
  expect(await server.finish(Buffer.from(`${withoutProof},p=${proof}`))).toMatchObject({ ok: true })
})

test.each(SERVERS)(
  '%s ignores names and optional extensions in any encoding, but includes them in the signed message',
  async (_, serverFor) => {
    const bare = 'n=M\xfcller=2C,r=abc,x=\xe4,y='
    const server = serverFor(rfcSecret, { nonce: 'xyz' })
    const first = server.start(Buffer.from(`n,,${bare}`, 'latin1')).toString()
    const keys = await deriveScramKeys('pencil', RFC.salt, 4096)
    const withoutProof = 'c=biws,r=abcxyz,z=\xff'
    const signature = createHmac('sha256', keys.storedKey)
      .update(Buffer.from(`${bare},${first},${withoutProof}`, 'latin1'))
      .digest()
    const proof = Buffer.from(signature.map((byte, i) => byte ^ (keys.clientKey[i] ?? 0))).toString('base64')
    expect(await server.finish(Buffer.from(`${withoutProof},p=${proof}`, 'latin1'))).toMatchObject({ ok: true })
  },
)

describe('ScramClient refuses', () => {
  const SALT = 'W22ZaJ0SNY7soEsUEjb6gQ=='

  test.each([
    ['', 'attribute expected'],
    [`s=${SALT},i=8`, 'attribute "r" expected'],
    ['r=abcxyz,i=8', 'attribute "s" expected'],
    [`r=abcxyz,s=${SALT}`, 'attribute "i" expected'],
    [`r=abc,s=${SALT},i=8`, 'the nonce does not match'],
    [`r=xyzabc,s=${SALT},i=8`, 'the nonce does not match'],
    [`r=ab,s=${SALT},i=8`, 'the nonce does not match'],
    [`r=abcx z,s=${SALT},i=8`, 'nonce'],
    ['r=abcxyz,s=,i=8', 'invalid salt'],
    ['r=abcxyz,s=W22Z!,i=8', 'invalid salt'],
    [`r=abcxyz,s=${SALT}=,i=8`, 'invalid salt'],
    [`r=abcxyz,s=${Buffer.alloc(MAX_SCRAM_SALT_BYTES + 1).toString('base64')},i=8`, 'invalid salt'],
    [`r=abcxyz,s=${SALT},i=0`, 'invalid iteration count'],
    [`r=abcxyz,s=${SALT},i=-1`, 'invalid iteration count'],
    [`r=abcxyz,s=${SALT},i=08`, 'invalid iteration count'],
    [`r=abcxyz,s=${SALT},i=8.0`, 'invalid iteration count'],
    [`r=abcxyz,s=${SALT},i=1e3`, 'invalid iteration count'],
    [`r=abcxyz,s=${SALT},i=${MAX_SCRAM_ITERATIONS + 1}`, 'over the limit'],
    [`r=abcxyz,s=${SALT},i=99999999999`, 'invalid iteration count'],
    [`m=ext,r=abcxyz,s=${SALT},i=8`, 'unsupported extension'],
    [`r=abcxyz,s=${SALT},i=8,x=y`, 'garbage'],
    [`r=abcxyz,s=${SALT},i=8\0`, 'zero byte'],
    [`r=abc${'x'.repeat(MAX_SCRAM_MESSAGE_BYTES)},s=${SALT},i=8`, 'longer than'],
  ])("the server's first message %j: %s", async (message, reason) => {
    const client = new ScramClient(new PlainSecret('secret'), { nonce: 'abc' })
    client.first()
    expect(await rejectionOf(client.final(Buffer.from(message)))).toEqual(problem('server-login-failed', reason))
  })

  test.each([
    ['e=other-error', 'the server answered "other-error"'],
    ['e=bad\nline', 'the server answered "bad?line"'],
    ['', 'attribute expected'],
    ['v=', 'malformed server signature'],
    ['v=AAAA', 'malformed server signature'],
    [`v=${Buffer.alloc(32).toString('base64')}`, 'could not prove'],
    [`v=${Buffer.alloc(32).toString('base64')},x=y`, 'garbage'],
    [`v=${Buffer.alloc(32).toString('base64').replace('=', '')}`, 'malformed server signature'],
    ['x=y', 'attribute "v" expected'],
  ])("the server's final message %j: %s", async (message, reason) => {
    const server = serverFor(new PlainSecret('secret'))
    const client = new ScramClient(new PlainSecret('secret'))
    await client.final(server.start(client.first()))
    expect(thrownBy(() => client.verify(Buffer.from(message)))).toEqual(problem('server-login-failed', reason))
    expect(client.isVerified).toBe(false)
  })

  test('a server that received its proof but does not know the secret', async () => {
    const impostor = serverFor(null)
    const trueServer = serverFor(new PlainSecret('secret'), { nonce: 'xyz' })
    const client = new ScramClient(new PlainSecret('secret'), { nonce: 'abc' })
    await client.final(trueServer.start(client.first()))
    const stranger = new ScramClient(new PlainSecret('other'), { nonce: 'abc' })
    impostor.start(stranger.first())
    const keys = await deriveScramKeys('other', RFC.salt, FEW_ITERATIONS)
    const forged = `v=${serverSignature(keys.serverKey, 'whatever').toString('base64')}`
    expect(thrownBy(() => client.verify(Buffer.from(forged)))).toEqual(
      problem('server-login-failed', 'could not prove'),
    )
  })
})

test('an error about a malformed message does not quote it', async () => {
  const secretive = 'n,,n=,r=abc,hunter2'
  const error = thrownBy(() => serverFor(rfcSecret).start(Buffer.from(secretive)))
  expect(String(error)).not.toContain('hunter2')
})

test('using an exchange out of turn is an invariant failure', async () => {
  const server = serverFor(rfcSecret)
  expect(await rejectionOf(server.finish(Buffer.from('c=biws')))).toMatchObject({ name: 'InvariantError' })
  expect(thrownBy(() => server.foresee())).toMatchObject({ name: 'InvariantError' })
  server.start(Buffer.from('n,,n=,r=abc'))
  expect(thrownBy(() => server.start(Buffer.from('n,,n=,r=abc')))).toMatchObject({ name: 'InvariantError' })
  const client = new ScramClient(new PlainSecret('secret'))
  client.first()
  expect(thrownBy(() => client.first())).toMatchObject({ name: 'InvariantError' })
  expect(takeInvariantFailures()).toHaveLength(4)
})

test('a server message out of turn fails the login', async () => {
  const client = new ScramClient(new PlainSecret('secret'))
  expect(thrownBy(() => client.verify(Buffer.from('v=')))).toMatchObject({ kind: 'server-login-failed' })
  expect(await rejectionOf(client.final(Buffer.from('r=')))).toMatchObject({ kind: 'server-login-failed' })
})
