import { expect, test } from 'vitest'

import { type ClientClaim, ClientCounts } from '../../../src/workers/admissions.ts'
import { takeInvariantFailures } from '../../support/every-file.ts'

const EVERYBODY: ClientClaim = { limit: 'max_client_conn', name: '' }
const APP: ClientClaim = { limit: 'max_db_client_connections', name: 'app' }
const ADA: ClientClaim = { limit: 'max_user_client_connections', name: 'ada' }

const counts = (max: Partial<Record<ClientClaim['limit'], number>>) =>
  new ClientCounts(({ limit }) => max[limit] ?? Infinity)

test('clients are admitted up to the limit, and one more for each client that leaves', () => {
  const admissions = counts({ max_client_conn: 2 })
  expect([1, 2, 3].map(() => admissions.tryClaim([EVERYBODY]))).toEqual([null, null, EVERYBODY])
  admissions.release([EVERYBODY])
  expect(admissions.tryClaim([EVERYBODY])).toBe(null)
})

test('a client that does not fit under one limit is counted under none', () => {
  const admissions = counts({ max_user_client_connections: 0 })
  expect(admissions.tryClaim([APP, ADA])).toBe(ADA)
  expect(admissions.used('max_db_client_connections', 'app')).toBe(0)
})

test('looking reports the same full limit as claiming, but takes up no room', () => {
  const admissions = counts({ max_client_conn: 1 })
  const looked: unknown[] = []
  for (let times = 0; times < 2; times++) admissions.look([EVERYBODY, APP], (full) => looked.push(full))
  expect(admissions.tryClaim([EVERYBODY, APP])).toBe(null)
  admissions.look([EVERYBODY, APP], (full) => looked.push(full))
  expect(looked).toEqual([null, null, EVERYBODY])
})

test('the first full limit is the one reported', () => {
  const admissions = counts({ max_db_client_connections: 0, max_user_client_connections: 0 })
  expect(admissions.tryClaim([APP, ADA])).toBe(APP)
})

test('a user name is forgotten when the user’s last client leaves', () => {
  const admissions = counts({})
  admissions.tryClaim([ADA])
  admissions.release([ADA])
  expect([...admissions.names('max_user_client_connections')]).toEqual([])
})

test('every claim is listed and can be released', () => {
  const admissions = counts({})
  admissions.tryClaim([EVERYBODY, APP])
  admissions.tryClaim([EVERYBODY, ADA])
  const claims = [...admissions.claims()]
  expect(claims).toHaveLength(4)
  admissions.release(claims)
  expect([...admissions.claims()]).toEqual([])
})

test('releasing a claim that was not made is an invariant failure', () => {
  expect(() => counts({}).release([ADA])).toThrow('released more often')
  expect(takeInvariantFailures()).toHaveLength(1)
})
