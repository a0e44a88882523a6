import { expect, test } from 'vitest'
import { FAMILIES, type Sample } from '../../../src/metrics/families.ts'
import type { Limits, Snapshot } from '../../../src/metrics/snapshot.ts'
import { OTHER } from '../../../src/pool/tallies.ts'
import { mergeVitals } from '../../../src/workers/vitals.ts'

function read(name: string, now: unknown): readonly Sample[] {
  const family = FAMILIES.find((each) => each.name === name)
  if (family === undefined) throw new Error(`the metric ${name} does not exist`)
  return family.read(now as Snapshot)
}

test('a user with a limit of its own appears once, however many pools it has', () => {
  const pools = ['app', 'reports'].flatMap((database) => ['ada', 'grace', OTHER].map((user) => ({ database, user })))
  const limits: Partial<Limits> = { serversOf: (user) => (user === 'ada' ? 7 : 0), clientsOf: () => 9 }
  expect(read('pgweir_user_max_servers', { pools, limits })).toEqual([{ of: { user: 'ada' }, value: 7 }])
  expect(read('pgweir_user_max_clients', { pools, limits }).map(({ of }) => of)).toEqual([
    { user: 'ada' },
    { user: 'grace' },
  ])
})

test('if processes have read different certificates, the earliest expiry is reported', () => {
  const one = { connections: 1, loggingIn: 0, certificates: { client_tls_cert_file: 5_000, server_tls_ca_file: 9_000 } }
  const other = { connections: 2, loggingIn: 1, certificates: { client_tls_cert_file: 4_000 } }
  const vitals = mergeVitals([one, other])
  expect(vitals).toMatchObject({ connections: 3, loggingIn: 1 })
  expect(read('pgweir_tls_certificate_expiry_timestamp_seconds', { vitals })).toEqual([
    { of: { file: 'client_tls_cert_file' }, value: 4 },
    { of: { file: 'server_tls_ca_file' }, value: 9 },
  ])
})
