/** The cost of a refusal does not reveal whether the user exists (rule 10). Cost is measured in key derivations, and in digests before them. */

import crypto, { createHash } from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { keyDerivation } from '../../src/auth/key-derivation.ts'
import { generateScramSecret } from '../../src/auth/scram-keys.ts'
import { quiet } from '../support/flow/inbox.ts'
import { startup } from '../support/flow/requests.ts'
import { type Flow, startFlow } from '../support/flow/start.ts'

const ITERATIONS = 8

/** One user for each kind of secret; all have the same password. */
const USERS = {
  plain: '"ada" "secret"',
  md5: `"mia" "md5${createHash('md5').update('secretmia').digest('hex')}"`,
  scram: `"sam" "${await generateScramSecret('secret', ITERATIONS)}"`,
}
const NO_PASSWORD = '"max" ""'

/** Counts the keys that the pooler derives because of clients. The clients of these tests derive keys too, but by another function. */
function countWork(): { derivations: number } {
  const work = { derivations: 0 }
  for (const method of ['ownSaltedPassword', 'idleWork'] as const) {
    const original = keyDerivation[method].bind(keyDerivation) as (...all: unknown[]) => Promise<never>
    const spy = vi.spyOn(keyDerivation, method).mockImplementation((...all: unknown[]) => {
      work.derivations++
      return original(...all)
    })
    onTestFinished(() => spy.mockRestore())
  }
  return work
}

function start(auth_type: string, authFile: readonly string[]): Promise<Flow> {
  return startFlow({ settings: { auth_type, scram_iterations: ITERATIONS }, authFile })
}

/** Tries to log in, and returns what an unauthenticated client can see of that, and its cost. */
async function attempt(flow: Flow, work: { derivations: number }, user: string, password = 'wrong', database = 'app') {
  const before = work.derivations
  const client = await flow.dial()
  const isIn = await client.login({ user, password, database }).then(
    () => true,
    () => false,
  )
  await quiet()
  const seen = client.inbox.all.map((reply) => reply.name)
  if (isIn) client.leave()
  else await client.expectClosed()
  return { isIn, seen, derivations: work.derivations - before }
}

/** Counts digests of any kind. */
function countDigests(): { reset(): void; readonly count: number } {
  const spy = vi.spyOn(crypto, 'hash')
  syncBuiltinESMExports()
  onTestFinished(() => {
    spy.mockRestore()
    syncBuiltinESMExports()
  })
  return {
    reset: () => spy.mockClear(),
    get count() {
      return spy.mock.calls.length
    },
  }
}

/** Begins a login. Returns the first answer, and how many digests were computed until the pooler awaits the next message. */
async function costOfAnswer(
  flow: Flow,
  work: ReturnType<typeof countDigests>,
  user: string,
): Promise<[string, number]> {
  const client = await flow.dial()
  work.reset()
  client.send(startup({ user, database: 'app' }))
  const { name } = await client.inbox.next()
  await quiet()
  client.leave()
  return [name, work.count]
}

const FILES: Readonly<Record<string, readonly string[]>> = {
  plain: [USERS.plain, NO_PASSWORD],
  md5: [USERS.md5],
  scram: [USERS.scram],
  'plain and SCRAM': [USERS.plain, NO_PASSWORD, USERS.scram],
  'mostly SCRAM': [USERS.plain, USERS.scram, USERS.scram.replace('sam', 'sue')],
  'all kinds of': Object.values(USERS),
}

for (const auth_type of ['scram-sha-256', 'plain'])
  describe(`auth_type = ${auth_type}`, () => {
    for (const [kinds, authFile] of Object.entries(FILES))
      test(`every refusal costs the same if the users have ${kinds} secrets`, async () => {
        const work = countWork()
        const flow = await start(auth_type, authFile)
        const stranger = await attempt(flow, work, 'nobody')
        expect(stranger.isIn).toBe(false)
        const known = authFile.map((line) => line.split('"')[1] as string)
        // The second attempt of each user must look and cost the same, although the state has changed.
        for (const user of ['nobody', ...known, ...known, 'nobody', 'another'])
          expect(await attempt(flow, work, user)).toEqual(stranger)
        expect(await attempt(flow, work, 'nobody', 'wrong', 'nowhere')).toEqual(stranger)
        // A login that has succeeded before must not matter either.
        for (const user of known) await attempt(flow, work, user, 'secret')
        for (const user of known) expect(await attempt(flow, work, user)).toEqual(stranger)
        for (const user of known) expect(await attempt(flow, work, user, 'wrong', 'nowhere')).toEqual(stranger)
      })

    test.each(Object.entries(FILES))(
      'the first answer costs the same if the users have %s secrets',
      async (_, authFile) => {
        const work = countDigests()
        const flow = await start(auth_type, authFile)
        const stranger = await costOfAnswer(flow, work, 'nobody')
        if (auth_type === 'scram-sha-256') expect(stranger[1]).toBeGreaterThan(0)
        for (const user of ['another', ...authFile.map((line) => line.split('"')[1] as string), 'nobody'])
          expect(await costOfAnswer(flow, work, user)).toEqual(stranger)
      },
    )

    test('several refusals at the same time cost as much as one after the other', async () => {
      const work = countWork()
      const flow = await start(auth_type, FILES['plain and SCRAM'] as string[])
      for (const user of ['ada', 'sam', 'nobody']) {
        const before = work.derivations
        await Promise.all(Array.from({ length: 3 }, () => attempt(flow, work, user)))
        expect(work.derivations - before).toBe(3)
      }
    })
  })

test('the right password costs one key derivation, the first time only', async () => {
  const work = countWork()
  const flow = await start('scram-sha-256', [USERS.plain])
  // The client has derived the same keys in this process, and they are cached: pretend that they are not, both times that they are looked for.
  const cached = vi.spyOn(keyDerivation, 'cachedSaltedPassword').mockReturnValueOnce(null).mockReturnValueOnce(null)
  onTestFinished(() => cached.mockRestore())
  for (const derivations of [1, 0, 0])
    expect(await attempt(flow, work, 'ada', 'secret')).toMatchObject({ isIn: true, derivations })
})

test('no keys are derived if no user’s secret requires it', async () => {
  const work = countWork()
  for (const [auth_type, kinds] of [
    ['scram-sha-256', 'scram'],
    ['plain', 'plain'],
    ['plain', 'md5'],
    ['md5', 'plain'],
    ['md5', 'scram'],
    ['md5', 'mostly SCRAM'],
  ] as const) {
    const flow = await start(auth_type, FILES[kinds] as string[])
    for (const user of ['ada', 'mia', 'sam', 'nobody']) await attempt(flow, work, user)
  }
  expect(work.derivations).toBe(0)
})
