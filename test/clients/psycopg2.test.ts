/** psycopg2, the driver of most Python programs: simple queries, and all that libpq can do. */

import { promise, type Scenario } from './support/compare.ts'

function script(name: string, ...args: string[]): Scenario {
  return { program: 'python', args: [`python/psycopg2/${name}.py`, ...args] }
}

promise({
  'psycopg2 gets types, transactions and errors': script('queries'),
  'psycopg2 reads with named cursors': script('cursors'),
  'psycopg2 keeps its session': { ...script('held_cursor'), modes: ['session'] },
  'psycopg2 copies in and out, and survives the errors of COPY': script('copy'),
  'psycopg2 reads and writes large objects': { ...script('large_objects'), size: 1 },
  'psycopg2 cancels the query that runs, and only that': script('cancel'),
  'psycopg2 starts with settings that hold for each of its queries': script('startup'),
  'psycopg2 starts with settings that hold where many clients share one server': {
    ...script('startup'),
    modes: ['transaction'],
    size: 1,
  },
  'psycopg2 on 40 connections gets the replies to its own questions from 4 servers': {
    ...script('threads', '40'),
    modes: ['transaction'],
    size: 4,
  },
  'psycopg2 hears of the end of its server': script('lost_server'),
})
