import { expect, test } from 'vitest'
import { readReplication } from '../../../src/wire/replication.ts'

test.each([
  ['database', 'logical'],
  ...['true', 'on', 'yes', '1', 't', 'tr', 'y', 'ye', 'TRUE', 'On'].map((text) => [text, 'physical']),
  ...['false', 'off', 'no', '0', 'f', 'fal', 'n', 'of', 'FALSE', 'Off'].map((text) => [text, 'none']),
  ...['', 'o', 'Database', 'logical', 'physical', '2', 'truest', 'onn', '10'].map((text) => [text, null]),
])('replication=%s means %s, as in Postgres', (text, replication) => {
  expect(readReplication(text as string)).toBe(replication)
})
