/** psycopg 3: the extended protocol, automatically prepared statements, and pipelines. */

import { promise, type Scenario } from './support/compare.ts'

function script(name: string): Scenario {
  return { program: 'python', args: [`python/psycopg3/${name}.py`] }
}

promise({
  'psycopg nests transactions and gets values of all types': script('transactions'),
  'psycopg prepares statements, evicts and drops them': script('prepared'),
  'psycopg prepares statements with max_prepared_statements = 2': {
    ...script('prepared'),
    modes: ['transaction'],
    settings: { max_prepared_statements: 2 },
  },
  'psycopg works with tables that change': script('changed_tables'),
  'psycopg sends pipelines, and recovers from errors in them': script('pipeline'),
  'psycopg copies in and out, and recovers from errors of COPY': script('copy'),
  'psycopg cancels the running query, and no other': script('cancel'),
  'psycopg with 40 tasks and threads gets the replies to its own queries from 4 servers': {
    ...script('many'),
    modes: ['transaction'],
    size: 4,
  },
})
