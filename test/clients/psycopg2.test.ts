/** psycopg2, the driver of most Python programs: simple queries, and the other features of libpq. */

import { promise, type Scenario } from './support/compare.ts'

function script(name: string, ...args: string[]): Scenario {
  return { program: 'python', args: [`python/psycopg2/${name}.py`, ...args] }
}

promise({
  'psycopg2 gets types, transactions and errors': script('queries'),
  'psycopg2 reads with named cursors': script('cursors'),
  'psycopg2 keeps its session state': { ...script('held_cursor'), modes: ['session'] },
  'psycopg2 copies in and out, and recovers from errors of COPY': script('copy'),
  'psycopg2 reads and writes large objects': { ...script('large_objects'), size: 1 },
  'psycopg2 cancels the running query, and no other': script('cancel'),
  'psycopg2 has the settings of its startup parameters in each query': script('startup'),
  'psycopg2 has the settings of its startup parameters even if many clients share one server': {
    ...script('startup'),
    modes: ['transaction'],
    size: 1,
  },
  'psycopg2 on 40 connections gets the replies to its own queries from 4 servers': {
    ...script('threads', '40'),
    modes: ['transaction'],
    size: 4,
  },
  'psycopg2 gets the error when its server ends': script('lost_server'),
})
