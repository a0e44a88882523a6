/** Helpers for tests of logging in. */

import { expect } from 'vitest'
import type { ScramClient } from '../../../src/auth/scram-client.ts'
import { type ScramOutcome, ScramServer } from '../../../src/auth/scram-server.ts'
import { type PlainSecret, parseSecret, type ScramSecret } from '../../../src/auth/secrets.ts'
import { PoolerError } from '../../../src/problems.ts'
import recorded from './postgres-secrets.json' with { type: 'json' }

/** A valid iteration count that is low enough to be fast. */
export const FEW_ITERATIONS = 8

export const SALT_KEY = Buffer.alloc(32, 7)

export const recordedUser = recorded.user
export const recordedSecrets = recorded.secrets

/** Foresees the final message of each client, as the pooler does. */
export class ForeseeingServer extends ScramServer {
  override start(clientFirst: Buffer, mechanism?: string): Buffer {
    const serverFirst = super.start(clientFirst, mechanism)
    this.foresee()
    return serverFirst
  }
}

export async function logIn(client: ScramClient, server: ScramServer): Promise<ScramOutcome> {
  const outcome = await server.finish(await client.final(server.start(client.first())))
  if (outcome.ok) client.verify(outcome.serverFinal)
  return outcome
}

export function scram(text: string): ScramSecret {
  const secret = parseSecret(text)
  if (secret.kind !== 'scram') throw new Error('not a SCRAM secret')
  return secret
}

export function plain(text: string): PlainSecret {
  const secret = parseSecret(text)
  if (secret.kind !== 'plain') throw new Error('not a plain secret')
  return secret
}

/** Returns a message with one part replaced. Fails if there is nothing to replace. */
export function altered(message: Buffer, from: string | RegExp, to: string): Buffer {
  const text = message.toString('latin1')
  const changed = text.replace(from, to)
  expect(changed).not.toBe(text)
  return Buffer.from(changed, 'latin1')
}

export function problem(kind: string, reason: string): unknown {
  return expect.toSatisfy((error: unknown) => {
    return error instanceof PoolerError && error.kind === kind && error.message.includes(reason)
  }, `a PoolerError ${kind} that says "${reason}"`)
}

export function thrownBy(work: () => unknown): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  return 'nothing was thrown'
}

export async function rejectionOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => 'nothing was thrown',
    (error: unknown) => error,
  )
}
