import { expect, test } from 'vitest'
import { describeAddress, describeListening } from '../../../src/net/unix-sockets.ts'

test.each([
  [{ host: '10.0.0.1', port: 5432 }, '10.0.0.1:5432', '10.0.0.1:5432'],
  [{ host: 'db.internal', port: 5432 }, 'db.internal:5432', 'db.internal:5432'],
  [{ host: '::1', port: 5432 }, '[::1]:5432', '[::1]:5432'],
  [{ host: '/tmp/.s.PGSQL.6432', port: 6432 }, 'unix:6432', 'unix:/tmp/.s.PGSQL.6432'],
])('the log shows %j as PgBouncer does', (address, other, own) => {
  expect(describeAddress(address)).toBe(other)
  expect(describeListening(address)).toBe(own)
})
