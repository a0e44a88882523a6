/** The names, order and types of columns in PgBouncer 1.25.2 and its successor. Tools depend on them. */

import { describe, expect, test } from 'vitest'
import { microsecondsBeyond, moment, pointer, wholeSeconds } from '../../../src/admin/show/topic.ts'
import { REFUSED_TOPICS, TOPICS } from '../../../src/admin/show/topics.ts'
import { COLUMNS, TYPES } from '../../cases/console.ts'

describe('the columns are those of PgBouncer:', () => {
  for (const [topic, facts] of Object.entries(COLUMNS))
    test(`SHOW ${topic.toUpperCase()}`, () => {
      const expected = facts.split(',').map((fact) => {
        const [name = '', type = ''] = fact.trim().split(' ')
        return `${name} ${TYPES[type]?.name}`
      })
      expect(TOPICS.get(topic)?.columns?.map(({ name, type }) => `${name} ${type}`)).toEqual(expected)
    })
})

/** Topics that PgBouncer does not have. */
const OUR_OWN = new Set(['latencies', 'workers'])

test('each topic of PgBouncer exists or is refused with a reason', () => {
  const pgbouncer = `active_sockets clients config databases dns_hosts dns_zones fds lists mem peer_pools peers pools servers
    sockets state stats stats_averages stats_totals totals users version`
  const ours = [...TOPICS.keys(), ...REFUSED_TOPICS.keys()].filter((name) => !OUR_OWN.has(name))
  expect(ours.toSorted()).toEqual(pgbouncer.split(/\s+/))
})

test('each column has a description', () => {
  for (const { columns } of TOPICS.values())
    for (const { name, meaning } of columns ?? []) expect(meaning, name).toMatch(/\w/)
})

test('values are formatted as in PgBouncer', () => {
  expect(moment(Date.UTC(2024, 1, 29, 23, 59, 59, 999))).toBe('2024-02-29 23:59:59 UTC')
  expect([wholeSeconds(2_345_678.9), microsecondsBeyond(2_345_678.9)]).toEqual([2, 345_678])
  expect([pointer(255), pointer(null)]).toEqual(['0xff', ''])
})
