/** What PgBouncer 1.25.2 and its successor show, as facts: names, order and types of columns. Tools are made for them. */

import { describe, expect, test } from 'vitest'
import { microsecondsBeyond, moment, pointer, wholeSeconds } from '../../../src/admin/show/topic.ts'
import { REFUSED_TOPICS, TOPICS } from '../../../src/admin/show/topics.ts'

const SOCKET_COLUMNS = `type t, user t, database t, replication t, state t, addr t, port i, local_addr t, local_port i,
  connect_time t, request_time t, wait i, wait_us i, close_needed i, ptr t, link t, remote_pid i, tls t, application_name t,
  prepared_statements i, id i`

const ALL_SOCKETS_COLUMNS = `${SOCKET_COLUMNS}, recv_pos i, pkt_pos i, pkt_remain i, send_pos i, send_remain i, pkt_avail i,
  send_avail i`

const COLUMNS: Readonly<Record<string, string>> = {
  clients: SOCKET_COLUMNS,
  servers: SOCKET_COLUMNS,
  pools: `database t, user t, cl_active i, cl_waiting i, cl_active_cancel_req i, cl_waiting_cancel_req i, sv_active i,
    sv_active_cancel i, sv_being_canceled i, sv_idle i, sv_used i, sv_tested i, sv_login i, maxwait i, maxwait_us i,
    pool_mode t, load_balance_hosts t`,
  databases: `name t, host t, port i, database t, force_user t, pool_size i, min_pool_size i, reserve_pool_size i,
    server_lifetime i, pool_mode t, load_balance_hosts t, max_connections i, current_connections i,
    max_client_connections i, current_client_connections i, paused i, disabled i`,
  users: `name t, pool_size t, reserve_pool_size t, pool_mode t, max_user_connections i, current_connections i,
    max_user_client_connections i, current_client_connections i`,
  stats: `database t, total_server_assignment_count n, total_xact_count n, total_query_count n, total_received n,
    total_sent n, total_xact_time n, total_query_time n, total_wait_time n, total_client_parse_count n,
    total_server_parse_count n, total_bind_count n, total_client_login_count n, avg_server_assignment_count n,
    avg_xact_count n, avg_query_count n, avg_recv n, avg_sent n, avg_xact_time n, avg_query_time n, avg_wait_time n,
    avg_client_parse_count n, avg_server_parse_count n, avg_bind_count n, avg_client_login_count n`,
  stats_totals: `database t, server_assignment_count n, xact_count n, query_count n, bytes_received n, bytes_sent n,
    xact_time n, query_time n, wait_time n, client_parse_count n, server_parse_count n, bind_count n,
    client_login_count n`,
  stats_averages: `database t, server_assignment_count n, xact_count n, query_count n, bytes_received n, bytes_sent n,
    xact_time n, query_time n, wait_time n, avg_client_parse_count n, avg_server_parse_count n, avg_bind_count n,
    avg_client_login_count n`,
  totals: 'name t, value n',
  lists: 'list t, items i',
  config: 'key t, value t, default t, changeable t',
  state: 'key t, value t',
  version: 'version t',
  peers: 'peer_id i, host t, port i, pool_size i',
  peer_pools: 'peer_id i, cl_active_cancel_req i, cl_waiting_cancel_req i, sv_active_cancel i, sv_login i',
  sockets: ALL_SOCKETS_COLUMNS,
  active_sockets: ALL_SOCKETS_COLUMNS,
  mem: 'name t, size i, used i, free i, memtotal i',
  dns_hosts: 'hostname t, ttl q, addrs t',
  dns_zones: 'zonename t, serial q, count i',
}

const TYPES: Readonly<Record<string, string>> = { t: 'text', i: 'int4', q: 'int8', n: 'numeric' }

describe('the columns are those of PgBouncer:', () => {
  for (const [topic, facts] of Object.entries(COLUMNS))
    test(`SHOW ${topic.toUpperCase()}`, () => {
      const expected = facts.split(',').map((fact) => {
        const [name = '', type = ''] = fact.trim().split(' ')
        return `${name} ${TYPES[type]}`
      })
      expect(TOPICS.get(topic)?.columns?.map(({ name, type }) => `${name} ${type}`)).toEqual(expected)
    })
})

/** What PgBouncer does not have. */
const OUR_OWN = new Set(['latencies', 'workers'])

test('each topic of PgBouncer is there, or is refused with a reason', () => {
  const pgbouncer = `active_sockets clients config databases dns_hosts dns_zones fds lists mem peer_pools peers pools servers
    sockets state stats stats_averages stats_totals totals users version`
  const ours = [...TOPICS.keys(), ...REFUSED_TOPICS.keys()].filter((name) => !OUR_OWN.has(name))
  expect(ours.toSorted()).toEqual(pgbouncer.split(/\s+/))
})

test('each column tells what it means', () => {
  for (const { columns } of TOPICS.values())
    for (const { name, meaning } of columns ?? []) expect(meaning, name).toMatch(/\w/)
})

test('values are written as PgBouncer writes them', () => {
  expect(moment(Date.UTC(2024, 1, 29, 23, 59, 59, 999))).toBe('2024-02-29 23:59:59 UTC')
  expect([wholeSeconds(2_345_678.9), microsecondsBeyond(2_345_678.9)]).toEqual([2, 345_678])
  expect([pointer(255), pointer(null)]).toEqual(['0xff', ''])
})
