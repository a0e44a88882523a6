/** How we log in to servers, for each method that they may ask for and each kind of secret that we may have; and the reason if we cannot. */

import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { ScramServer } from '../../src/auth/scram-server.ts'
import { parseSecret } from '../../src/auth/secrets.ts'
import type { FlowServer, LoginScript } from '../support/flow/postgres.ts'
import { int32 } from '../support/flow/replies.ts'
import { message } from '../support/flow/requests.ts'
import { startFlow } from '../support/flow/start.ts'

/** The secrets that may be known of ada, whose password is "secret". The SCRAM secrets have few iterations. */
const KNOWN: Readonly<Record<string, string>> = {
  password: 'secret',
  md5: `md5${createHash('md5').update('secretada').digest('hex')}`,
  SCRAM:
    'SCRAM-SHA-256$8:c2FsdHNhbHRzYWx0c2FsdA==$/bNgtfxqpFfyQSXPYT3eSGgzXgW6Uo5EZhtYpL2hFBs=:CQy+8YyV16PQI4b463b+Z9wVhosIMg7tv5Q68yBYD0U=',
  'other SCRAM':
    'SCRAM-SHA-256$8:b3RoZXJvdGhlcm90aGVyMQ==$3OAYCc0f8eqwdmmTAS+5AP+lRU6HsRa2hw4nQckEfCo=:KbBHCUbazhHtJO1YhIxc6v0jG4KB922HGEPwtrZd4M4=',
}

/** The ways in which Postgres asks for a password and checks it. */
const ASKS: Readonly<Record<string, (server: FlowServer) => Promise<void>>> = {
  'cleartext password': async (server) => {
    server.send(message('R', int32(3)))
    if ((await answer(server)) === 'secret\0') server.welcome()
  },
  'an md5 password': async (server) => {
    server.send(message('R', Buffer.concat([int32(5), Buffer.from('salt')])))
    const hash = (KNOWN['md5'] as string).slice(3)
    const expected = createHash('md5').update(hash).update('salt').digest('hex')
    if ((await answer(server)) === `md5${expected}\0`) server.welcome()
  },
  'SCRAM-SHA-256': async (server) => {
    const secret = parseSecret(KNOWN['SCRAM'] as string)
    const scram = new ScramServer('ada', secret, { iterations: 8, saltKey: Buffer.alloc(32) })
    server.send(message('R', Buffer.concat([int32(10), Buffer.from('SCRAM-SHA-256\0\0')])))
    const first = (await server.expect('Password')).bytes
    const data = first.subarray(5 + 'SCRAM-SHA-256\0'.length + 4)
    server.send(message('R', Buffer.concat([int32(11), scram.start(data)])))
    const outcome = await scram.finish((await server.expect('Password')).bytes.subarray(5))
    if (outcome.ok) {
      server.send(message('R', Buffer.concat([int32(12), outcome.serverFinal])))
      server.welcome()
    }
  },
}

/** A Postgres that uses this method. If the pooler cannot answer, it closes the connection. */
function asksFor(method: string): LoginScript {
  return (server) => void ASKS[method]?.(server).catch(() => {})
}

async function answer(server: FlowServer): Promise<string | undefined> {
  return (await server.expect('Password')).bytes.toString('utf8', 5)
}

const IN = null
const ONLY_MD5 = 'only an md5 hash is known for user "ada"'
const ONLY_SCRAM = 'only a SCRAM secret is known for user "ada"'
const NOT_YET = `${ONLY_SCRAM}, which can be used only after a client has logged in with it`
const ANOTHER = 'the known SCRAM secret is therefore not the one that the server has'

/** The known secret, the auth_type, and the result for each method that servers may ask for. */
const MATRIX: readonly [
  known: string,
  authType: string,
  clear: string | null,
  md5: string | null,
  scram: string | null,
][] = [
  ['password', 'trust', IN, IN, IN],
  ['password', 'plain', IN, IN, IN],
  ['password', 'md5', IN, IN, IN],
  ['password', 'scram-sha-256', IN, IN, IN],
  ['md5', 'trust', ONLY_MD5, IN, ONLY_MD5],
  ['md5', 'md5', ONLY_MD5, IN, ONLY_MD5],
  ['md5', 'plain', IN, IN, IN],
  ['SCRAM', 'trust', ONLY_SCRAM, ONLY_SCRAM, NOT_YET],
  ['SCRAM', 'plain', IN, IN, IN],
  ['SCRAM', 'md5', ONLY_SCRAM, ONLY_SCRAM, IN],
  ['SCRAM', 'scram-sha-256', ONLY_SCRAM, ONLY_SCRAM, IN],
  ['other SCRAM', 'plain', IN, IN, IN],
  ['other SCRAM', 'scram-sha-256', ONLY_SCRAM, ONLY_SCRAM, ANOTHER],
]

for (const [at, method] of Object.keys(ASKS).entries())
  describe(`login to a server that asks for ${method}:`, () => {
    for (const [known, auth_type, ...outcomes] of MATRIX) {
      const reason = outcomes[at] as string | null
      test(`with ${known} known and auth_type = ${auth_type}: ${reason ?? 'succeeds'}`, async () => {
        const flow = await startFlow({
          settings: { auth_type, scram_iterations: 8 },
          authFile: [`"ada" "${KNOWN[known]}"`],
        })
        flow.postgres.login = asksFor(method)
        if (reason === null) {
          await flow.connect({ password: 'secret' })
          return
        }
        await expect(flow.connect({ password: 'secret' })).rejects.toThrow(
          'ErrorResponse(FATAL 28000 server login failed: wrong password type)',
        )
        const [client] = flow.clients
        expect(client?.inbox.all.at(-1)?.bytes.toString()).toContain(reason)
        expect(flow.logged(`login failed: server login failed: wrong password type (The server asks for`)).toHaveLength(
          1,
        )
        expect(flow.log.join()).not.toContain('secret"')
      })
    }
  })

test('login to a server fails if no password of the user is known', async () => {
  const flow = await startFlow({ databases: ['app=host=db user=forced'] })
  flow.postgres.login = asksFor('SCRAM-SHA-256')
  await expect(flow.connect()).rejects.toThrow('wrong password type')
  expect(flow.clients[0]?.inbox.all.at(-1)?.bytes.toString()).toContain('no password is known for user "forced"')
})

test('SCRAM keys from a client’s login are tried at once, even right after a login without them failed', async () => {
  const flow = await startFlow({
    settings: { auth_type: 'scram-sha-256', server_login_retry: 60 },
    databases: ['app=host=db user=ada'],
    authFile: [`"ada" "${KNOWN['SCRAM']}"`, '"bob" "bobs"'],
  })
  flow.postgres.login = asksFor('SCRAM-SHA-256')
  const asBob = { user: 'bob', password: 'bobs' }
  await expect(flow.connect(asBob)).rejects.toThrow('wrong password type')
  await expect(flow.connect(asBob)).rejects.toThrow('wrong password type')
  expect(flow.postgres.servers.length).toBeLessThanOrEqual(2)
  await flow.connect({ user: 'ada', password: 'secret' })
  await flow.connect(asBob)
})
